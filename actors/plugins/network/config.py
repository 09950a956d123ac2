"""Configuration of the pods' network: read once per nodelet, the same on every node of a cluster."""

from __future__ import annotations

import ipaddress
from typing import Literal

import msgspec

#: Where the configuration says nothing and no other raypod of the host has them. The range is a /11 (8,192 nodes of
#: /24) in a part of 10/8 that Docker, podman, k3s, flannel, Calico and OpenShift leave alone.
BRIDGE, CLUSTER_CIDR = "raypod0", "10.160.0.0/11"


class NetworkConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`bridge` names everything on the host: device, nftables table, VXLAN device; two nodes on one host need two.

    `mtu` 0 takes the default route's and leaves room for VXLAN. `cluster_cidr` holds all pods. `bridge` and
    `cluster_cidr` "": the usual ones, or others where another raypod on the host has those (`raypod up` selects them).
    `overlay`: `vxlan` works over any network; `routes` needs all nodes in one subnet that forwards foreign addresses.
    """

    bridge: str = ""
    mtu: int = 0
    masquerade: bool = True
    cluster_cidr: str = ""
    pod_cidr_prefix: int = 24
    nameservers: tuple[str, ...] = ()
    overlay: Literal["vxlan", "routes"] = "vxlan"
    vxlan_id: int = 7261
    vxlan_port: int = 4789

    def __post_init__(self) -> None:
        try:
            network = ipaddress.IPv4Network(self.cluster_cidr or CLUSTER_CIDR)
        except ValueError as error:
            raise ValueError(
                f"cluster_cidr {self.cluster_cidr!r}: {error}; write an IPv4 network such as 10.160.0.0/11"
            ) from error
        if self.bridge and (len(self.bridge) > 13 or not self.bridge.replace("-", "").isalnum()):
            raise ValueError(f"bridge {self.bridge!r}: 1 to 13 letters, digits and dashes")
        for address in self.nameservers:
            if not _is_address(address):
                raise ValueError(f"nameservers {address!r}: an IPv4 or IPv6 address")
        if not network.prefixlen <= self.pod_cidr_prefix <= 30:
            raise ValueError(f"pod_cidr_prefix {self.pod_cidr_prefix}: between {network.prefixlen} and 30")
        if not 0 <= self.vxlan_id < 1 << 24 or not 0 < self.vxlan_port < 1 << 16:
            raise ValueError("vxlan_id must fit in 24 bits and vxlan_port in 16")
        if self.mtu and not 576 <= self.mtu <= 65535:
            raise ValueError(f"mtu {self.mtu}: 0 (automatic) or between 576 and 65535")

    def filled(self) -> NetworkConfig:
        """With the usual bridge and range where nothing is said."""
        return msgspec.structs.replace(
            self, bridge=self.bridge or BRIDGE, cluster_cidr=self.cluster_cidr or CLUSTER_CIDR
        )


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True

"""CNI 1.1's verbs. The Linux network namespace exists and is the runtime's; this port puts interfaces into it.

Every failure is a PluginError("network") with reason NetworkSetupError.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import msgspec


class PortMapping(msgspec.Struct, frozen=True):
    host_port: int
    container_port: int
    protocol: str = "TCP"
    host_ip: str = ""


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """What ADD is asked for: `netns_path` is a bind-mounted namespace file."""

    sandbox_id: str
    netns_path: str
    pod_namespace: str = ""
    pod_name: str = ""
    ifname: str = "eth0"
    ports: tuple[PortMapping, ...] = ()


class NetworkResult(msgspec.Struct, frozen=True, kw_only=True):
    """`ips` without prefix length, the pod's first."""

    ips: tuple[str, ...]
    gateway: str = ""
    nameservers: tuple[str, ...] = ()


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """Another node: the address it is reached at and the range its pods are in."""

    address: str
    pod_cidr: str


class Endpoint(NamedTuple):
    """An IPv4 address and a TCP port."""

    address: str
    port: int


class NetworkPort(Protocol):
    @property
    def warnings(self) -> tuple[str, ...]:
        """What pods on this node must do without, in sentences; known after `setup`."""
        ...

    async def setup(self, pod_cidr: str) -> None:
        """Once per start of the nodelet: bridge, NAT, forwarding. Repeating it changes nothing."""
        ...

    async def add(self, attachment: Attachment) -> NetworkResult:
        """A second call for the same sandbox answers the first's result. A host port taken: PortInUse, retryable."""
        ...

    async def delete(self, attachment: Attachment) -> None:
        """Give interface, address and port mappings back. A second call, or a vanished namespace, does nothing."""
        ...

    async def collect(self, sandbox_ids: frozenset[str]) -> None:
        """CNI's GC: give back what belongs to none of these sandboxes."""
        ...

    async def peers(self, nodes: Mapping[str, Peer]) -> None:
        """Make the pods of exactly these nodes reachable, by node name; this node's own entry tells its address."""
        ...

    async def services(self, targets: Mapping[Endpoint, Endpoint]) -> None:
        """Send what this node's pods say to exactly these on to those. A loopback target is the host's own port,
        which pods reach by the address of their gateway. Repeating it changes nothing."""
        ...

    async def teardown(self) -> None:
        """Remove bridge, rules and state: nothing is left of raypod's network on the host."""
        ...

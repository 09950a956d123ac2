"""The host's own devices through pyroute2: the bridge, the VXLAN device and the routes to other nodes' pods.

Every `ensure_` leaves what is already right alone, so a restart of the nodelet disturbs no running pod. One thread.
"""

from __future__ import annotations

import errno
import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError as KernelError

from actors.plugins.network.cidr import derive_gateway, derive_mac
from actors.plugins.network.config import NetworkConfig

#: Marks routes as ours, to find them again (a number that rt_protos leaves free).
ROUTE_PROTOCOL = 82
VXLAN_OVERHEAD_BYTES = 50
_ONLINK, _PERMANENT, _NOARP_PERMANENT, _SELF = 4, 0x80, 0xC0, 2
_DRIVERS = {errno.EOPNOTSUPP: "the kernel lacks this kind of device", errno.EPERM: "CAP_NET_ADMIN is missing"}


class LinkError(OSError):
    """What pyroute2 was refused, in words."""

    def __init__(self, error: KernelError, doing: str) -> None:
        code, text = int(error.code), str(error.args[-1])
        super().__init__(code, f"{doing}: {_DRIVERS.get(code, text)}")


class Links:
    """One IPRoute, kept open."""

    def __init__(self, config: NetworkConfig) -> None:
        self._config = config
        self._ip = IPRoute()
        self._vxlan_name = f"{config.bridge}.v"

    def close(self) -> None:
        self._ip.close()

    def ensure_bridge(self, pod_cidr: str) -> int:
        """The bridge, up, with the range's gateway as its only address. Answers its index."""
        gateway, prefix = derive_gateway(pod_cidr), int(pod_cidr.partition("/")[2])
        if taken := self.foreign_routes(pod_cidr):
            message = f"the pod CIDR {pod_cidr} overlaps the host's route to {taken[0]}: choose another cluster_cidr"
            raise OSError(errno.EADDRINUSE, message)
        mtu = self.select_mtu()
        try:
            index = self._index(self._config.bridge)
            if not index:
                self._ip.link("add", ifname=self._config.bridge, kind="bridge", address=derive_mac(gateway), mtu=mtu)
                index = self._index(self._config.bridge)
            self._ip.link("set", index=index, state="up", mtu=mtu)
            self._set_address(index, gateway, prefix)
        except KernelError as error:
            raise LinkError(error, f"making the bridge {self._config.bridge}") from error
        return index

    def select_mtu(self) -> int:
        """The configured one, or the default route's less what VXLAN adds."""
        if self._config.mtu:
            return self._config.mtu
        overhead = VXLAN_OVERHEAD_BYTES if self._config.overlay == "vxlan" else 0
        return self._default_mtu() - overhead

    def has_default_route(self) -> bool:
        return any(True for _ in self._default_routes())

    def ports(self) -> list[str]:
        """Names of the interfaces on the bridge."""
        index = self._index(self._config.bridge)
        return [str(link.get("ifname")) for link in self._ip.get_links(master=index)] if index else []

    def ensure_ports(self, names: Iterable[str]) -> None:
        """Existing interfaces that are on no bridge, for theirs was removed, are hairpin ports of this one again."""
        bridge, on_it = self._index(self._config.bridge), set(self.ports())
        for name in names:
            if name not in on_it and (index := self._index(name)):
                self._ip.link("set", index=index, master=bridge, state="up")
                self._ip.brport("set", index=index, mode=1)

    def ensure_peers(self, own: str, pod_cidr: str, addresses: Mapping[str, str]) -> None:
        """Routes to exactly these ranges (pod CIDR -> node address); `own` is this node's address or ''."""
        try:
            if self._config.overlay == "vxlan":
                self._ensure_vxlan_peers(own, pod_cidr, addresses)
            else:
                self._ensure_routes(dict(addresses))
        except KernelError as error:
            raise LinkError(error, f"routing to the pods of {', '.join(sorted(addresses)) or 'no nodes'}") from error

    def remove(self) -> None:
        """Bridge, VXLAN device and routes."""
        self._ensure_routes({})
        for name in (self._vxlan_name, self._config.bridge):
            if index := self._index(name):
                self._ip.link("del", index=index)

    def _ensure_vxlan_peers(self, own: str, pod_cidr: str, addresses: Mapping[str, str]) -> None:
        if not addresses:
            self._drop_vxlan()
            return
        index = self._ensure_vxlan(own or self._source_for(next(iter(addresses.values()))), pod_cidr)
        vteps = {str(ipaddress.IPv4Network(cidr).network_address): cidr for cidr in addresses}
        macs = {derive_mac(vtep): addresses[cidr] for vtep, cidr in vteps.items()}
        for vtep, cidr in vteps.items():
            mac = derive_mac(vtep)
            self._ip.fdb("replace", ifindex=index, lladdr=mac, dst=addresses[cidr], state=_NOARP_PERMANENT, flags=_SELF)
            self._ip.neigh("replace", ifindex=index, dst=vtep, lladdr=mac, state=_PERMANENT)
            self._ip.route("replace", dst=cidr, gateway=vtep, oif=index, flags=_ONLINK, proto=ROUTE_PROTOCOL)
        self._drop_stale(index, set(addresses), set(vteps), macs)

    def _drop_stale(self, index: int, cidrs: set[str], vteps: set[str], macs: Mapping[str, str]) -> None:
        for cidr in self._our_routes(index) - cidrs:
            self._ip.route("del", dst=cidr, oif=index, proto=ROUTE_PROTOCOL)
        for neighbour in list(self._ip.get_neighbours(ifindex=index, family=2)):
            if neighbour["state"] & _PERMANENT and neighbour.get("dst") not in vteps:
                self._ip.neigh("del", ifindex=index, dst=neighbour.get("dst"))
        for entry in list(self._ip.fdb("dump", ifindex=index)):
            mac, target = entry.get("lladdr"), entry.get("dst")
            if target and macs.get(mac) != target:
                self._ip.fdb("del", ifindex=index, lladdr=mac, dst=target)

    def _ensure_vxlan(self, own: str, pod_cidr: str) -> int:
        vtep = str(ipaddress.IPv4Network(pod_cidr).network_address)
        index = self._index(self._vxlan_name)
        if index and not self._is_vxlan(index, own, vtep):
            self._ip.link("del", index=index)
            index = 0
        if not index:
            self._ip.link(
                "add",
                ifname=self._vxlan_name,
                kind="vxlan",
                vxlan_id=self._config.vxlan_id,
                vxlan_port=self._config.vxlan_port,
                vxlan_learning=0,
                vxlan_local=own,
                address=derive_mac(vtep),
                mtu=self.select_mtu(),
            )
            index = self._index(self._vxlan_name)
        self._ip.link("set", index=index, state="up")
        self._set_address(index, vtep, 32)
        return index

    def _is_vxlan(self, index: int, own: str, vtep: str) -> bool:
        (link,) = self._ip.link("get", index=index)
        made = link.get(("linkinfo", "data", "vxlan_local"))
        wanted = (own, derive_mac(vtep), self._config.vxlan_id, self._config.vxlan_port)
        data = (link.get(("linkinfo", "data", "vxlan_id")), link.get(("linkinfo", "data", "vxlan_port")))
        return bool(wanted == (made, link.get("address"), *data))

    def _drop_vxlan(self) -> None:
        if index := self._index(self._vxlan_name):
            self._ip.link("del", index=index)

    def _ensure_routes(self, addresses: Mapping[str, str]) -> None:
        for cidr in self._our_routes() - set(addresses):
            self._ip.route("del", dst=cidr, proto=ROUTE_PROTOCOL)
        for cidr, address in addresses.items():
            self._ip.route("replace", dst=cidr, gateway=address, proto=ROUTE_PROTOCOL)

    def _our_routes(self, index: int = 0) -> set[str]:
        """Ranges we route: all within the cluster's, or those through one device."""
        cluster = ipaddress.IPv4Network(self._config.cluster_cidr)
        found = set()
        for route in self._ip.get_routes(family=2, proto=ROUTE_PROTOCOL):
            cidr = f"{route.get('dst')}/{route['dst_len']}"
            if ipaddress.IPv4Network(cidr).subnet_of(cluster) and index in (0, route.get("oif")):
                found.add(cidr)
        return found

    def _set_address(self, index: int, address: str, prefix: int) -> None:
        wanted = (address, prefix)
        present = {(a.get("address"), a["prefixlen"]) for a in self._ip.get_addr(index=index, family=2)}
        for old, length in present - {wanted}:
            self._ip.addr("del", index=index, address=old, prefixlen=length)
        if wanted not in present:
            self._ip.addr("add", index=index, address=address, prefixlen=prefix)

    def foreign_routes(self, cidr: str) -> list[str]:
        """Ranges overlapping this one that the host reaches through devices that are not ours."""
        wanted = ipaddress.IPv4Network(cidr)
        own = {self._index(self._config.bridge), self._index(self._vxlan_name)}
        found = set()
        for route in self._ip.get_routes(family=2, table=254):
            if not route["dst_len"] or route.get("oif") in own or route["proto"] == ROUTE_PROTOCOL:
                continue
            there = ipaddress.IPv4Network(f"{route.get('dst')}/{route['dst_len']}", strict=False)
            if there.overlaps(wanted):
                found.add(str(there))
        return sorted(found)

    def _default_mtu(self) -> int:
        for route in self._default_routes():
            if index := route.get("oif"):
                (link,) = self._ip.link("get", index=index)
                return int(link.get("mtu"))
        return 1500

    def _default_routes(self) -> Iterable[Any]:
        return (r for r in self._ip.get_routes(family=2, table=254) if r["dst_len"] == 0 and r["type"] == 1)

    def _source_for(self, address: str) -> str:
        (route,) = self._ip.route("get", dst=address)
        return str(route.get("prefsrc"))

    def _index(self, name: str) -> int:
        found = self._ip.link_lookup(ifname=name)
        return int(found[0]) if found else 0

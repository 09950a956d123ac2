"""This node's pod network, synchronously: what the kernel, the rules and the files on disk must agree on.

Kernel first, then the lease on disk: after a crash in between, the interface without a lease is removed by the next
`setup`, and a lease without an interface is wired again by the next `add`. Everything runs in one thread.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from actors.plugins.network.cidr import derive_gateway, select_address
from actors.plugins.network.config import NetworkConfig
from actors.plugins.network.conntrack import forget_flows
from actors.plugins.network.firewall import ForwardPolicy
from actors.plugins.network.hostports import HeldPorts
from actors.plugins.network.leases import Lease, check_ports, derive_pod, setup_error
from actors.plugins.network.links import Links
from actors.plugins.network.nat import Nft, format_elements, format_removal, format_services, format_table, open_nft
from actors.plugins.network.netlink import (
    Netlink,
    NetlinkError,
    open_in,
    plan_inside,
    plan_pair,
)
from actors.plugins.network.ownership import Ownership
from actors.plugins.network.port import Attachment, Endpoint, NetworkResult, Peer
from actors.plugins.network.records import LeaseFiles
from actors.plugins.network.unlink import INTERFACE_PREFIX, Unlinker, derive_interface

_log = logging.getLogger(__name__)


class HostNetwork:
    """`warnings` says in sentences what pods must do without on this host."""

    def __init__(self, root: Path, config: NetworkConfig) -> None:
        self._config = config
        self._files = LeaseFiles(root)
        self._held = HeldPorts()
        self._ownership = Ownership(str(root), config)
        self._links = Links(config)
        self._policy = ForwardPolicy(config)
        self._netlink = Netlink()
        self._unlinker = Unlinker(config.bridge)
        self._pod_cidr = ""
        self._last = ""
        self._leases: dict[str, Lease] = {}
        self._services: dict[Endpoint, Endpoint] = {}
        self._bridge_index = self._mtu = 0
        self._nft: Nft | None = None
        self.warnings: tuple[str, ...] = ()

    def setup(self, pod_cidr: str) -> None:
        if conflict := self._ownership.find_conflict():
            raise setup_error("setup", conflict)
        self._leases, self._last = self._files.load()
        self._bridge_index = self._links.ensure_bridge(pod_cidr)
        self._ownership.mark(self._netlink)
        self._mtu = self._links.select_mtu()
        self._pod_cidr = pod_cidr
        known = {lease.interface for lease in self._leases.values()}
        self._links.ensure_ports(sorted(known))
        self._unlinker.remove(name for name in self._pod_interfaces() if name not in known)
        warnings = [*self._setup_forwarding(), *self._setup_nat(), *self._find_clashes()]
        for lease in self._leases.values():
            self._hold_again(lease)
        self.warnings = tuple(warnings)
        for warning in warnings:
            _log.warning("network: %s", warning)

    def add(self, attachment: Attachment) -> NetworkResult:
        if not self._pod_cidr:
            raise setup_error("add", "the node's network is not set up yet; it is tried again")
        if not self._has_bridge():
            _log.warning(
                "network: the bridge %s was removed behind raypod's back; it is made again", self._config.bridge
            )
            self.setup(self._pod_cidr)
        lease = self._leases.get(attachment.sandbox_id)
        if lease is None or not self._is_wired(lease):
            lease = self._attach(attachment, lease)
        return NetworkResult(
            ips=(lease.address,), gateway=derive_gateway(self._pod_cidr), nameservers=self._config.nameservers
        )

    def forget(self, sandbox_ids: Iterable[str]) -> None:
        """Give back what sandboxes hold whose interfaces are gone."""
        for lease in [lease for key in sandbox_ids if (lease := self._leases.get(key)) is not None]:
            self._forget_ports(lease)
            self._files.remove(lease)
            del self._leases[lease.sandbox_id]

    def collect(self, sandbox_ids: frozenset[str]) -> None:
        lost = [lease for lease in self._leases.values() if lease.sandbox_id not in sandbox_ids]
        self._unlinker.remove(lease.interface for lease in lost)
        self.forget([lease.sandbox_id for lease in lost])

    def peers(self, nodes: Mapping[str, Peer]) -> None:
        own = next((peer.address for peer in nodes.values() if peer.pod_cidr == self._pod_cidr), "")
        others = {peer.pod_cidr: peer.address for peer in nodes.values() if peer.pod_cidr != self._pod_cidr}
        self._links.ensure_peers(own, self._pod_cidr, others)

    def services(self, targets: Mapping[Endpoint, Endpoint]) -> None:
        self._services = {service: self._reachable(target) for service, target in targets.items()}
        if self._nft and self._pod_cidr:
            self._nft(format_services(self._config, self._services))

    def _reachable(self, target: Endpoint) -> Endpoint:
        """The host's loopback is no pod's: its ports are reached at the pods' gateway."""
        if not IPv4Address(target.address).is_loopback:
            return target
        return target._replace(address=derive_gateway(self._pod_cidr))

    def teardown(self) -> None:
        """Also of what an earlier life left. Forwarding stays on: others may have come to rely on it."""
        if not self._ownership.is_anothers():
            self._unlinker.remove(self._pod_interfaces())
            self._links.remove()
            self._policy.remove()
            nft = self._nft or open_nft()[0]
            if nft:
                nft(format_removal(self._config))
        self._ownership.close()
        self._held.close()
        self._files.clear()
        self._leases.clear()
        self._pod_cidr = self._last = ""

    def close(self) -> None:
        self._held.close()
        self._ownership.close()
        self._unlinker.close()
        self._links.close()
        self._netlink.close()

    def _has_bridge(self) -> bool:
        try:
            return socket.if_nametoindex(self._config.bridge) == self._bridge_index
        except OSError:
            return False

    def _attach(self, attachment: Attachment, former: Lease | None) -> Lease:
        check_ports(attachment, self._leases.values())
        if attachment.ports and self._nft is None:
            raise setup_error("add", f"host ports need address translation: {'; '.join(self.warnings)}")
        lease = Lease(
            sandbox_id=attachment.sandbox_id,
            address=self._select_address(former),
            interface=derive_interface(self._config.bridge, attachment.sandbox_id),
            pod=derive_pod(attachment),
            ports=attachment.ports,
        )
        if former is not None:
            self._forget_ports(former)
        self._held.hold(lease.sandbox_id, lease.ports)
        try:
            self._wire(attachment, lease)
            self._publish_ports(lease)
            self._files.save(lease)
        except BaseException:
            self._detach(lease)
            raise
        self._leases[lease.sandbox_id], self._last = lease, lease.address
        return lease

    def _detach(self, lease: Lease) -> None:
        """Undo what was done before an error; what cannot be undone is found by the next `setup`."""
        with contextlib.suppress(OSError):
            self._unlinker.remove([lease.interface])
        with contextlib.suppress(OSError):
            self._forget_ports(lease)
        self._files.remove(lease)
        self._leases.pop(lease.sandbox_id, None)

    def _select_address(self, former: Lease | None) -> str:
        taken = {lease.address for lease in self._leases.values() if lease is not former}
        if former and former.address not in taken and IPv4Address(former.address) in IPv4Network(self._pod_cidr):
            return former.address
        try:
            return select_address(self._pod_cidr, taken, self._last)
        except ValueError as error:
            raise setup_error("add", str(error)) from error

    def _wire(self, attachment: Attachment, lease: Lease) -> None:
        with open(attachment.netns_path, "rb") as netns:
            inside = open_in(netns.fileno())
            try:
                self._make_pair(lease, attachment.ifname, netns.fileno())
                index, prefix = inside.index_of(attachment.ifname), IPv4Network(self._pod_cidr).prefixlen
                inside.send(plan_inside(index, lease.address, prefix, derive_gateway(self._pod_cidr)))
            finally:
                inside.close()

    def _make_pair(self, lease: Lease, ifname: str, netns_fd: int) -> None:
        plan = plan_pair(lease.interface, ifname, netns_fd, self._bridge_index, self._mtu, lease.address)
        try:
            self._netlink.send(plan)
        except NetlinkError as error:
            if error.errno != errno.EEXIST:
                raise
            self._unlinker.remove([lease.interface])
            self._netlink.send(plan)

    def _is_wired(self, lease: Lease) -> bool:
        try:
            return socket.if_nametoindex(lease.interface) > 0
        except OSError:
            return False

    def _publish_ports(self, lease: Lease) -> None:
        if lease.ports and self._nft:
            self._nft(format_elements(self._config, "add", lease))
            forget_flows(lease)

    def _forget_ports(self, lease: Lease) -> None:
        if lease.ports and self._nft and self._held.holds(lease.sandbox_id):
            self._nft(format_elements(self._config, "delete", lease))
            forget_flows(lease)
        self._held.release(lease.sandbox_id)

    def _hold_again(self, lease: Lease) -> None:
        """After a restart. Should a process have taken the port meanwhile, the pod keeps its traffic."""
        if self._held.holds(lease.sandbox_id):
            return
        try:
            self._held.hold(lease.sandbox_id, lease.ports)
        except Exception as error:
            _log.warning("network: pod %s keeps its host port, although: %s", lease.pod, error)

    def _pod_interfaces(self) -> list[str]:
        return [name for name in self._links.ports() if name.startswith(INTERFACE_PREFIX)]

    def _find_clashes(self) -> list[str]:
        cluster = self._config.cluster_cidr
        advice = f"lies in the cluster CIDR {cluster}: pods cannot reach it; choose another cluster_cidr"
        return [f"the host's network {cidr} {advice}" for cidr in self._links.foreign_routes(cluster)]

    def _setup_nat(self) -> list[str]:
        self._nft, reason = (self._nft, "") if self._nft else open_nft()
        if self._nft is None:
            return [f"no address translation, so pods reach this cluster only and get no host ports: {reason}"]
        try:
            self._nft(format_table(self._config, self._pod_cidr, self._leases.values()))
            self._nft(format_services(self._config, self._services))
            _write_sysctl(f"net/ipv4/conf/{self._config.bridge}/route_localnet", "1")
        except OSError as error:
            self._nft = None
            return [f"no address translation, so pods reach this cluster only and get no host ports: {error.strerror}"]
        if not self._links.has_default_route():
            return ["this host has no default route: pods reach nodes and pods, nothing beyond"]
        return []

    def _setup_forwarding(self) -> list[str]:
        try:
            _write_sysctl("net/ipv4/ip_forward", "1")
        except OSError as error:
            return [f"IPv4 forwarding is off and cannot be turned on ({error.strerror}): pods reach only this node"]
        warning = self._policy.ensure_open()
        return [warning] if warning else []


def _write_sysctl(name: str, value: str) -> None:
    """Of the calling thread's Linux network namespace. Does not write what is so already."""
    path = Path("/proc/sys") / name
    if path.read_text().strip() != value:
        path.write_text(value + os.linesep)

"""The network port in memory: hands out addresses and ports by the real rules and touches nothing of the host.

For the simulator and for tests of what uses the port. `vanished` and `failures` are how a test makes it fail.
"""

from __future__ import annotations

from collections.abc import Mapping

from actors.plugins.errors import PluginError
from actors.plugins.network.cidr import derive_gateway, select_address
from actors.plugins.network.config import NetworkConfig
from actors.plugins.network.leases import Lease, check_ports, derive_pod, setup_error
from actors.plugins.network.port import Attachment, Endpoint, NetworkResult, Peer


class FakeNetwork:
    """Passes the conformance suite. `leases` is by sandbox id; the next `add` raises the first of `failures`."""

    def __init__(self, config: NetworkConfig | None = None) -> None:
        self.config = config or NetworkConfig()
        self.leases: dict[str, Lease] = {}
        self.nodes: dict[str, Peer] = {}
        self.targets: dict[Endpoint, Endpoint] = {}
        self.vanished: set[str] = set()
        self.failures: list[PluginError] = []
        self.warnings: tuple[str, ...] = ()
        self._pod_cidr = ""
        self._last = ""

    async def setup(self, pod_cidr: str) -> None:
        self._pod_cidr = pod_cidr

    async def add(self, attachment: Attachment) -> NetworkResult:
        if not self._pod_cidr:
            raise setup_error("add", "the node's network is not set up yet; it is tried again")
        if self.failures:
            raise self.failures.pop(0)
        if attachment.sandbox_id not in self.leases:
            self._lease(attachment)
        address = self.leases[attachment.sandbox_id].address
        return NetworkResult(
            ips=(address,), gateway=derive_gateway(self._pod_cidr), nameservers=self.config.nameservers
        )

    async def delete(self, attachment: Attachment) -> None:
        self.leases.pop(attachment.sandbox_id, None)

    async def collect(self, sandbox_ids: frozenset[str]) -> None:
        self.leases = {key: lease for key, lease in self.leases.items() if key in sandbox_ids}

    async def peers(self, nodes: Mapping[str, Peer]) -> None:
        self.nodes = dict(nodes)

    async def services(self, targets: Mapping[Endpoint, Endpoint]) -> None:
        self.targets = dict(targets)

    async def teardown(self) -> None:
        self.leases.clear()
        self.targets.clear()
        self.nodes.clear()
        self._pod_cidr = ""

    def _lease(self, attachment: Attachment) -> None:
        if attachment.netns_path in self.vanished:
            raise setup_error("add", f"the Linux network namespace {attachment.netns_path} is gone", retryable=False)
        check_ports(attachment, self.leases.values())
        try:
            address = select_address(self._pod_cidr, {lease.address for lease in self.leases.values()}, self._last)
        except ValueError as error:
            raise setup_error("add", str(error)) from error
        self._last = address
        self.leases[attachment.sandbox_id] = Lease(
            sandbox_id=attachment.sandbox_id, address=address, pod=derive_pod(attachment), ports=attachment.ports
        )

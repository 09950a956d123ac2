"""The bridge network against the network port's suite, over the real kernel, on a bridge of this process's own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from network_namespaces import Namespaces
from network_suite import POD_CIDR, NetworkSuite

from actors.plugins.network.bridge import BridgeNetwork
from actors.plugins.network.config import NetworkConfig
from actors.plugins.network.port import NetworkPort

pytestmark = pytest.mark.root


class TestBridgeNetwork(NetworkSuite):
    @pytest.fixture
    async def network(self, tmp_path: Path) -> AsyncIterator[NetworkPort]:
        network = BridgeNetwork(tmp_path / "network", NetworkConfig(bridge=f"rpc{os.getpid()}"))
        await network.setup(POD_CIDR)
        yield network
        await network.teardown()
        await network.close()

    @pytest.fixture
    def namespaces(self) -> Iterator[Namespaces]:
        namespaces = Namespaces()
        yield namespaces
        namespaces.close()

    @pytest.fixture
    def make_netns(self, namespaces: Namespaces) -> Callable[[], str]:
        return namespaces.make

    @pytest.fixture
    def vanish(self, namespaces: Namespaces) -> Callable[[str], None]:
        return namespaces.remove

"""The fake network against the network port's suite."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from network_suite import POD_CIDR, Attach, NetworkSuite

from actors.plugins.errors import PluginError
from actors.plugins.network.fake import FakeNetwork
from actors.plugins.network.port import NetworkPort


class TestFakeNetwork(NetworkSuite):
    @pytest.fixture
    async def network(self) -> NetworkPort:
        network = FakeNetwork()
        await network.setup(POD_CIDR)
        return network

    @pytest.fixture
    def make_netns(self) -> Callable[[], str]:
        numbers = itertools.count()
        return lambda: f"/run/raypod-fake/{next(numbers)}"

    @pytest.fixture
    def vanish(self, network: FakeNetwork) -> Callable[[str], None]:
        return network.vanished.add

    async def test_a_failure_that_was_asked_for_comes_once(self, network: FakeNetwork, attach: Attach) -> None:
        network.failures.append(PluginError("network", "add", "NetworkSetupError", "the host is out of memory"))
        attachment = attach()
        with pytest.raises(PluginError, match="out of memory"):
            await network.add(attachment)
        await network.add(attachment)

"""What every implementation of the network port must do. Subclass it, and say in the fixtures what to run it over."""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
from collections.abc import Callable

import pytest

from actors.plugins.errors import PluginError
from actors.plugins.network.port import Attachment, NetworkPort, PortMapping

Attach = Callable[..., Attachment]
POD_CIDR = "10.191.254.0/28"
GATEWAY = "10.191.254.1"
#: .2 to .14: without the network's, the gateway's and the broadcast address.
ADDRESSES = 13
_names = itertools.count()


class NetworkSuite:
    """Fixtures to give: `network` (set up with POD_CIDR), `make_netns` (answers a new path), `vanish` (removes it)."""

    @pytest.fixture
    def attach(self, make_netns: Callable[[], str]) -> Attach:
        def attach(*ports: PortMapping, name: str = "") -> Attachment:
            name = name or f"pod-{next(_names)}"
            return Attachment(
                sandbox_id=f"sandbox-{name}",
                netns_path=make_netns(),
                pod_namespace="default",
                pod_name=name,
                ports=ports,
            )

        return attach

    async def test_each_pod_has_an_address_of_the_range(self, network: NetworkPort, attach: Attach) -> None:
        results = [await network.add(attach()) for _ in range(3)]
        addresses = [ipaddress.ip_address(result.ips[0]) for result in results]
        assert len(set(addresses)) == 3
        assert all(address in ipaddress.ip_network(POD_CIDR) for address in addresses)
        assert {result.gateway for result in results} == {GATEWAY}
        assert GATEWAY not in map(str, addresses)

    async def test_adding_again_answers_the_first_result(self, network: NetworkPort, attach: Attach) -> None:
        attachment = attach(PortMapping(host_port=30080, container_port=80))
        assert await network.add(attachment) == await network.add(attachment)

    async def test_setting_up_again_keeps_what_is_attached(self, network: NetworkPort, attach: Attach) -> None:
        attachment = attach()
        first = await network.add(attachment)
        await network.setup(POD_CIDR)
        assert await network.add(attachment) == first
        assert (await network.add(attach())).ips != first.ips

    async def test_an_address_given_back_is_not_the_next_one(self, network: NetworkPort, attach: Attach) -> None:
        first = attach()
        address = (await network.add(first)).ips
        await network.delete(first)
        assert (await network.add(attach())).ips != address

    async def test_addresses_run_out_with_a_sentence_and_come_back(self, network: NetworkPort, attach: Attach) -> None:
        attachments = [attach() for _ in range(ADDRESSES)]
        given = {(await network.add(attachment)).ips[0] for attachment in attachments}
        assert len(given) == ADDRESSES
        late = attach()
        with pytest.raises(PluginError, match=r"all 13 addresses of .* are in use") as caught:
            await network.add(late)
        assert (caught.value.reason, caught.value.retryable) == ("NetworkSetupError", True)
        await network.delete(attachments[4])
        assert (await network.add(late)).ips[0] in given

    async def test_deleting_twice_or_the_unknown_does_nothing(self, network: NetworkPort, attach: Attach) -> None:
        attachment = attach()
        await network.delete(attachment)
        await network.add(attachment)
        await network.delete(attachment)
        await network.delete(attachment)

    async def test_deleting_after_the_namespace_vanished(
        self, network: NetworkPort, attach: Attach, vanish: Callable[[str], None]
    ) -> None:
        port = PortMapping(host_port=30081, container_port=80)
        attachment = attach(port)
        await network.add(attachment)
        vanish(attachment.netns_path)
        await network.delete(attachment)
        await network.add(attach(port))

    async def test_a_vanished_namespace_cannot_be_attached(
        self, network: NetworkPort, attach: Attach, vanish: Callable[[str], None]
    ) -> None:
        attachment = attach()
        vanish(attachment.netns_path)
        with pytest.raises(PluginError, match=attachment.netns_path) as caught:
            await network.add(attachment)
        assert (caught.value.port, caught.value.reason) == ("network", "NetworkSetupError")

    async def test_a_host_port_is_held_by_one_pod(self, network: NetworkPort, attach: Attach) -> None:
        first = attach(PortMapping(host_port=30082, container_port=80), name="web")
        second = attach(
            PortMapping(host_port=30083, container_port=81), PortMapping(host_port=30082, container_port=80)
        )
        await network.add(first)
        with pytest.raises(PluginError, match=r"30082/TCP is held by pod default/web") as caught:
            await network.add(second)
        assert (caught.value.reason, caught.value.retryable) == ("PortInUse", True)
        await network.add(attach(PortMapping(host_port=30083, container_port=81)))
        await network.add(attach(PortMapping(host_port=30082, container_port=80, protocol="UDP")))
        await network.delete(first)
        await network.add(attach(PortMapping(host_port=30082, container_port=80)))

    @pytest.mark.parametrize(
        "mapping",
        [
            PortMapping(host_port=0, container_port=80),
            PortMapping(host_port=30084, container_port=65536),
            PortMapping(host_port=30084, container_port=80, protocol="TCP; flush ruleset"),
            PortMapping(host_port=30084, container_port=80, host_ip="127.0.0.1 } flush"),
        ],
    )
    async def test_an_impossible_port_is_refused_for_good(
        self, network: NetworkPort, attach: Attach, mapping: PortMapping
    ) -> None:
        with pytest.raises(PluginError, match="host port") as caught:
            await network.add(attach(mapping))
        assert (caught.value.reason, caught.value.retryable) == ("NetworkSetupError", False)

    async def test_collect_gives_back_what_nobody_claims(self, network: NetworkPort, attach: Attach) -> None:
        port = PortMapping(host_port=30085, container_port=80)
        kept, lost = attach(), attach(port)
        first = await network.add(kept)
        await network.add(lost)
        await network.collect(frozenset({kept.sandbox_id, "sandbox-unknown"}))
        assert await network.add(kept) == first
        await network.add(attach(port))

    async def test_many_at_once(self, network: NetworkPort, attach: Attach) -> None:
        attachments = [attach(PortMapping(host_port=30090 + number, container_port=80)) for number in range(6)]
        for _ in range(3):
            results = await asyncio.gather(*(network.add(attachment) for attachment in attachments))
            assert len({result.ips for result in results}) == len(attachments)
            await asyncio.gather(*(network.delete(attachment) for attachment in attachments))
        await asyncio.gather(*(network.add(attachment) for attachment in attachments))

    async def test_no_peers_and_peers_again(self, network: NetworkPort) -> None:
        await network.peers({})
        await network.peers({})

    async def test_after_teardown_nothing_can_be_added(self, network: NetworkPort, attach: Attach) -> None:
        await network.add(attach())
        await network.teardown()
        await network.teardown()
        with pytest.raises(PluginError, match="not set up"):
            await network.add(attach())
        await network.setup(POD_CIDR)
        await network.add(attach())

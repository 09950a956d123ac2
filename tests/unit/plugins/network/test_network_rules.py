"""Configuration, port rules, the nftables text and the netlink messages: everything that touches nothing."""

from __future__ import annotations

import struct

import msgspec
import pytest

from actors.plugins.errors import PluginError
from actors.plugins.network.config import NetworkConfig
from actors.plugins.network.leases import Lease, check_ports
from actors.plugins.network.nat import format_elements, format_table
from actors.plugins.network.netlink import plan_inside, plan_pair
from actors.plugins.network.port import Attachment, PortMapping
from actors.plugins.network.unlink import derive_interface

CONFIG = NetworkConfig(bridge="raypod7").filled()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"bridge": "a-name-that-is-too-long"}', "1 to 13"),
        ('{"bridge": "x; flush ruleset"}', "letters, digits and dashes"),
        ('{"cluster_cidr": "10.160.0.1/11"}', "host bits"),
        ('{"cluster_cidr": "10.160.0.0/24", "pod_cidr_prefix": 16}', "between 24 and 30"),
        ('{"pod_cidr_prefix": 31}', "between 11 and 30"),
        ('{"vxlan_id": 16777216}', "24 bits"),
        ('{"mtu": 100}', "mtu 100"),
        ('{"overlay": "wireguard"}', "overlay"),
        ('{"brigde": "x"}', "brigde"),
    ],
)
def test_a_wrong_configuration_is_refused_with_a_sentence(text: str, complaint: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=complaint):
        msgspec.json.decode(text, type=NetworkConfig)


def lease(*ports: PortMapping) -> Lease:
    return Lease(sandbox_id="s1", address="10.160.1.2", pod="default/web", ports=ports)


def wants(*ports: PortMapping) -> Attachment:
    return Attachment(sandbox_id="s2", netns_path="/n", ports=ports)


@pytest.mark.parametrize(
    ("held", "wanted", "clash"),
    [
        (PortMapping(80, 1), PortMapping(80, 2), True),
        (PortMapping(80, 1), PortMapping(81, 1), False),
        (PortMapping(80, 1), PortMapping(80, 1, "UDP"), False),
        (PortMapping(80, 1, "TCP", "127.0.0.1"), PortMapping(80, 1), True),
        (PortMapping(80, 1, "TCP", "0.0.0.0"), PortMapping(80, 1, "TCP", "127.0.0.1"), True),
        (PortMapping(80, 1, "TCP", "10.0.0.1"), PortMapping(80, 1, "TCP", "127.0.0.1"), False),
    ],
)
def test_which_ports_clash(held: PortMapping, wanted: PortMapping, clash: bool) -> None:
    if not clash:
        check_ports(wants(wanted), [lease(held)])
        return
    with pytest.raises(PluginError, match=r"80/TCP is held by pod default/web"):
        check_ports(wants(wanted), [lease(held)])


def test_a_sandbox_does_not_clash_with_itself() -> None:
    mapping = PortMapping(80, 1)
    check_ports(Attachment(sandbox_id="s1", netns_path="/n", ports=(mapping,)), [lease(mapping)])


def test_a_sandbox_that_asks_twice_for_a_port_is_refused() -> None:
    with pytest.raises(PluginError, match="80/TCP is asked for twice"):
        check_ports(wants(PortMapping(80, 1), PortMapping(80, 2)), [])


def test_host_ports_become_map_elements() -> None:
    web = lease(PortMapping(8080, 80), PortMapping(53, 5353, "UDP", "127.0.0.1"))
    assert format_elements(CONFIG, "add", web).splitlines() == [
        "add element ip raypod7 tcp_any { 8080 : 10.160.1.2 . 80 }",
        "add element ip raypod7 udp_one { 127.0.0.1 . 53 : 10.160.1.2 . 5353 }",
    ]
    assert format_elements(CONFIG, "delete", web).splitlines() == [
        "delete element ip raypod7 tcp_any { 8080 }",
        "delete element ip raypod7 udp_one { 127.0.0.1 . 53 }",
    ]


def test_masquerading_spares_the_cluster_and_can_be_off() -> None:
    rule = "ip saddr 10.160.1.0/24 ip daddr != 10.160.0.0/11 masquerade"
    assert rule in format_table(CONFIG, "10.160.1.0/24", [])
    assert rule not in format_table(NetworkConfig(masquerade=False), "10.160.1.0/24", [])


def test_interface_names_are_short_stable_and_the_node_s_own() -> None:
    name = derive_interface("raypod0", "sandbox-1")
    assert name == derive_interface("raypod0", "sandbox-1") and len(name) == 14
    assert len({name, derive_interface("raypod1", "sandbox-1"), derive_interface("raypod0", "sandbox-2")}) == 3


def test_netlink_attributes_are_padded_to_four_bytes() -> None:
    messages = [*plan_pair("rpabc", "eth0", 5, 9, 1450, "10.160.1.2"), *plan_inside(2, "10.160.1.2", 24, "10.160.1.1")]
    for step, message in messages:
        header = {16: 16, 19: 16, 20: 8, 24: 12}[struct.unpack_from("=H", message)[0]]
        offset = 4 + header
        while offset < len(message):
            (size,) = struct.unpack_from("=H", message, offset)
            assert size >= 4, step
            offset += (size + 3) & ~3
        assert offset == len(message), step

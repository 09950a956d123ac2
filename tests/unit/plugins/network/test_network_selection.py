"""The bridge and the range that a home gets beside others, and the mark that says whose a bridge is."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from actors.plugins.network.config import NetworkConfig
from actors.plugins.network.ownership import Mark, format_alias, parse_alias
from actors.plugins.network.selection import Chosen, parse_routes, select_network

OTHER = Mark("raypod0", "10.160.0.0/11", "/root/.raypod/nodes/n/network")
ROUTES = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010211AC\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000211AC\t00000000\t0001\t0\t0\t0\t00FEFFFF\t0\t0\t0
"""


def select(config: NetworkConfig | None = None, *others: Mark, home: str = "/h", **more: object) -> NetworkConfig:
    routes, before = more.get("routes", ()), more.get("before", Chosen())
    return select_network(config or NetworkConfig(), home, others, routes, before)  # type: ignore[arg-type]


def test_alone_it_is_the_usual() -> None:
    assert select() == NetworkConfig().filled()
    explicit = NetworkConfig(bridge="mine", cluster_cidr="10.1.0.0/16")
    assert select(explicit).cluster_cidr == "10.1.0.0/16"


def test_beside_another_everything_is_its_own() -> None:
    found = select(None, OTHER)
    assert found.bridge.startswith("raypod-") and len(found.bridge) == 13
    assert not IPv4Network(found.cluster_cidr).overlaps(IPv4Network(OTHER.cluster_cidr))
    assert found.vxlan_id != NetworkConfig().vxlan_id
    assert select(None, OTHER) == found, "the same each time"
    third = select(None, OTHER, Mark(found.bridge, found.cluster_cidr, "/x/nodes/n/network"))
    assert third.bridge != found.bridge and third.cluster_cidr != found.cluster_cidr


def test_what_was_chosen_before_is_kept() -> None:
    before = Chosen("raypod-abcdef", "10.200.0.0/16")
    assert select(before=before).bridge == "raypod-abcdef"
    assert select(before=before).cluster_cidr == "10.200.0.0/16"
    taken = Mark("raypod-abcdef", "10.200.0.0/17", "/x/nodes/n/network")
    assert select(None, taken, before=before).bridge == "raypod0"
    assert select(None, taken, before=before).cluster_cidr == "10.160.0.0/11"


def test_ranges_that_the_host_reaches_are_left_alone_but_not_its_own() -> None:
    assert select(routes=[("eth0", "10.170.0.0/16")]).cluster_cidr != "10.160.0.0/11"
    assert select(routes=[("raypod0", "10.160.0.0/24")]).cluster_cidr == "10.160.0.0/11"
    with pytest.raises(ValueError, match=r"^no range .* set nodelet\.network\.cluster_cidr"):
        select(routes=[("eth0", "10.0.0.0/8")])


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (
            NetworkConfig(bridge="raypod0"),
            r"^the bridge raypod0 belongs to the raypod of /root/\.raypod.*network\.bridge",
        ),
        (NetworkConfig(cluster_cidr="10.161.0.0/16"), r"^the pods' range .* of /root/\.raypod.*network\.cluster_cidr"),
    ],
)
def test_what_is_configured_and_taken_is_refused_in_one_sentence(config: NetworkConfig, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        select(config, OTHER)


def test_a_mark_survives_the_kernel() -> None:
    alias = format_alias(OTHER.cluster_cidr, OTHER.root).decode()
    assert parse_alias("raypod0", alias) == OTHER and OTHER.home == "/root/.raypod"
    assert len(format_alias("10.160.0.0/11", "/" + "x" * 500)) == 255
    for foreign in ("", "uplink", "raypod", "raypod x y", "raypod 10.0.0.0/8"):
        assert parse_alias("br0", foreign) is None


def test_routes_are_read() -> None:
    assert parse_routes(ROUTES) == [("eth0", "172.17.2.0/23")]

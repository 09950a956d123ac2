"""Pods on three hosts reach each other, by VXLAN and by plain routes, and stop when a node leaves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from network_hosts import Host, Lab

from actors.plugins.network.port import Peer

pytestmark = pytest.mark.root

SOON_S = 0.7


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path)
    yield lab
    lab.close()


def nodes(*numbers: int) -> dict[str, Peer]:
    return {f"node{n}": Peer(address=f"172.31.255.{n}", pod_cidr=f"10.160.{n}.0/24") for n in numbers}


def started(lab: Lab, overlay: str) -> list[Host]:
    hosts = [lab.host(number, overlay=overlay) for number in (1, 2, 3)]
    for number, host in enumerate(hosts, 1):
        host.call("setup", f"10.160.{number}.0/24")
        host.call("peers", nodes(1, 2, 3))
    return hosts


@pytest.mark.parametrize("overlay", ["vxlan", "routes"])
def test_pods_on_three_hosts_reach_each_other_by_their_own_addresses(lab: Lab, overlay: str) -> None:
    hosts = started(lab, overlay)
    pods = [host.pod() for host in hosts]
    for pod in pods:
        pod.netns.serve(80)
    for pod in pods:
        for other in pods:
            if other is not pod:
                assert pod.netns.ask(other.address, 80) == pod.address
    assert hosts[0].netns.ask(pods[2].address, 80), "a host reaches the pods of another"


@pytest.mark.parametrize("overlay", ["vxlan", "routes"])
def test_a_node_that_left_is_routed_to_no_more_and_back_when_it_returns(lab: Lab, overlay: str) -> None:
    one, two, three = started(lab, overlay)
    here, stays, leaves = one.pod(), two.pod(), three.pod()
    stays.netns.serve(80)
    leaves.netns.serve(80)
    one.call("peers", nodes(1, 2))
    assert here.netns.ask(leaves.address, 80, timeout_s=SOON_S) == ""
    assert here.netns.ask(stays.address, 80) == here.address
    assert "10.160.3.0" not in one.netns.ip("route show")
    one.call("peers", nodes(1, 2, 3))
    one.call("peers", nodes(1, 2, 3))
    assert here.netns.ask(leaves.address, 80) == here.address


def test_a_node_whose_range_moved_to_another_address_is_followed(lab: Lab) -> None:
    one, two, _ = started(lab, "vxlan")
    here = one.pod()
    two.netns.ip("addr add 172.31.255.22/24 dev eth0")
    moved = {**nodes(1, 3), "node2": Peer(address="172.31.255.22", pod_cidr="10.160.2.0/24")}
    one.call("peers", moved)
    two.call("peers", moved)
    there = two.pod()
    there.netns.serve(80)
    assert here.netns.ask(there.address, 80) == here.address
    fdb = one.netns.run("bridge", "fdb", "show", "dev", "raypod0.v")
    assert "172.31.255.22" in fdb and "dst 172.31.255.2 " not in fdb


def test_routes_survive_a_restart_of_the_nodelet(lab: Lab) -> None:
    one, two, _ = started(lab, "vxlan")
    here, there = one.pod(), two.pod()
    there.netns.serve(80)
    one.kill()
    assert here.netns.ask(there.address, 80) == here.address
    one.call("setup", "10.160.1.0/24")
    one.call("peers", nodes(1, 2, 3))
    assert here.netns.ask(there.address, 80) == here.address


@pytest.mark.parametrize("overlay", ["vxlan", "routes"])
def test_teardown_leaves_the_host_as_it_was(lab: Lab, overlay: str) -> None:
    host = lab.host(1, overlay=overlay)
    before = host.links(), host.netns.ip("route show table all"), host.netns.run("nft", "list", "ruleset")
    host.call("setup", "10.160.1.0/24")
    host.call("peers", nodes(1, 2, 3))
    host.pod()
    assert len(host.links()) > len(before[0])
    host.call("teardown")
    assert (host.links(), host.netns.ip("route show table all"), host.netns.run("nft", "list", "ruleset")) == before
    assert not host.root.exists()

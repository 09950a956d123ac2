"""Two raypods in one Linux network namespace: a bridge, and the range of its pods, belongs to the one that lives."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from network_hosts import Host, Lab, Refused

from actors.plugins.network.config import NetworkConfig

pytestmark = pytest.mark.root


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path)
    yield lab
    lab.close()


@pytest.fixture
def host(lab: Lab) -> Host:
    """A network of the home `mine`, set up."""
    host = lab.host(1)
    host.root = lab.home / "mine" / "nodes" / "n" / "network"
    host.call("setup", "10.160.1.0/24")
    return host


@pytest.fixture
def beside(lab: Lab, host: Host) -> Iterator[Any]:
    """Makes a network of another home on the same host."""
    made: list[Host] = []

    def make(home: str = "other", **config: Any) -> Host:
        root = lab.home / home / "nodes" / "n" / "network"
        made.append(Host(lab, host.netns, host.address, root, NetworkConfig(**config)))
        return made[-1]

    yield make
    for other in made:
        other.kill()


def refusal(other: Host, pod_cidr: str = "10.160.2.0/24") -> str:
    with pytest.raises(Refused) as refused:
        other.call("setup", pod_cidr)
    return refused.value.message


def alias(host: Host) -> str:
    return host.netns.ip("link show raypod0").partition("alias ")[2]


def test_the_bridge_of_another_home_is_not_taken(lab: Lab, host: Host, beside: Any) -> None:
    pod = host.pod()
    told = refusal(beside())
    assert told.startswith(f"the bridge raypod0 belongs to the raypod of {lab.home}/mine, which is up on this host")
    assert "set nodelet.network.bridge" in told and f"`RAYPOD_HOME={lab.home}/mine raypod down`" in told
    assert alias(host) == f"raypod 10.160.0.0/11 {host.root}"
    assert host.call("add", pod.attachment)["ips"] == [pod.address]


def test_ranges_may_not_overlap_but_others_live_side_by_side(host: Host, beside: Any) -> None:
    told = refusal(beside(bridge="rpx1", cluster_cidr="10.161.0.0/16"))
    assert told.startswith("the pods' range 10.161.0.0/16 overlaps 10.160.0.0/11") and "network.cluster_cidr" in told
    other = beside(bridge="rpx1", cluster_cidr="10.192.0.0/16")
    other.call("setup", "10.192.0.0/24")
    other.call("teardown")
    assert alias(host)


def test_two_nodes_of_one_home_share_the_range_but_no_bridge(lab: Lab, host: Host) -> None:
    def second(**config: Any) -> Host:
        root = lab.home / "mine" / "nodes" / "m" / "network"
        return Host(lab, host.netns, host.address, root, NetworkConfig(**config))

    same = second()
    assert "the bridge raypod0 belongs to" in refusal(same)
    same.kill()
    own = second(bridge="rpx1")
    own.call("setup", "10.160.2.0/24")
    own.call("teardown")
    own.kill()


def test_what_was_refused_takes_nothing_of_the_owners_down(host: Host, beside: Any) -> None:
    pod = host.pod()
    other = beside()
    refusal(other)
    other.call("teardown")
    assert alias(host) and host.call("add", pod.attachment)["ips"] == [pod.address]


def test_a_killed_owner_comes_back_and_keeps_its_bridge_as_long_as_its_launcher_lives(host: Host, beside: Any) -> None:
    pod = host.pod()
    launcher = host.root.parent / "launcher.lock"
    with launcher.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        host.kill()
        assert "belongs to" in refusal(beside())
        host.call("setup", "10.160.1.0/24")
        assert host.call("add", pod.attachment)["ips"] == [pod.address]
        host.kill()


def test_what_nobody_lives_for_is_taken_over(lab: Lab, host: Host, beside: Any) -> None:
    host.pod()
    host.kill()
    other = beside()
    other.call("setup", "10.160.2.0/24")
    assert alias(host) == f"raypod 10.160.0.0/11 {other.root}"
    assert "belongs to" in refusal(host, "10.160.1.0/24"), "the owner of before is the second one now"


def test_taken_down_it_is_free(host: Host, beside: Any) -> None:
    host.call("teardown")
    beside().call("setup", "10.160.2.0/24")

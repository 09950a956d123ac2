"""What pods can reach and by whom they are reached, with real packets between hosts on one machine."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from network_hosts import Host, Lab, Refused

from actors.plugins.network.port import Peer, PortMapping

pytestmark = pytest.mark.root

SOON_S = 0.7


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path)
    yield lab
    lab.close()


@pytest.fixture
def host(lab: Lab) -> Host:
    host = lab.host(1)
    assert host.call("setup", "10.160.1.0/24") == []
    return host


def test_pods_reach_the_node_and_each_other_by_their_own_addresses(host: Host) -> None:
    one, two = host.pod(), host.pod()
    host.netns.serve(80)
    two.netns.serve(80)
    assert one.netns.ask("10.160.1.1", 80) == one.address
    assert one.netns.ask(two.address, 80) == one.address
    assert host.netns.ask(two.address, 80) == "10.160.1.1"


def test_a_pod_has_loopback_and_the_bridge_s_mtu(host: Host) -> None:
    pod = host.pod()
    pod.netns.serve(81, address="127.0.0.1")
    assert pod.netns.ask("127.0.0.1", 81) == "127.0.0.1"
    links = {link["ifname"]: link for link in json.loads(pod.netns.ip("-j addr"))}
    assert links["eth0"]["mtu"] == 1450
    assert links["eth0"]["address"].startswith("0a:58:0a:a0:01:")
    assert set(links) == {"lo", "eth0"}


def test_pods_reach_beyond_with_the_node_s_address(lab: Lab, host: Host) -> None:
    lab.outside.serve(80)
    lab.outside.serve(53, "UDP")
    pod = host.pod()
    assert pod.netns.ask("172.31.255.254", 80) == "172.31.255.1"
    assert pod.netns.ask("172.31.255.254", 53, "UDP") == "172.31.255.1"


def test_without_masquerading_nobody_beyond_can_answer(lab: Lab) -> None:
    host = lab.host(1, masquerade=False)
    host.call("setup", "10.160.1.0/24")
    lab.outside.serve(80)
    assert host.pod().netns.ask("172.31.255.254", 80, timeout_s=SOON_S) == ""


@pytest.mark.parametrize("kind", ["TCP", "UDP"])
def test_a_host_port_is_answered_from_everywhere(lab: Lab, host: Host, kind: str) -> None:
    pod = host.pod(PortMapping(host_port=30080, container_port=80, protocol=kind))
    other = host.pod()
    pod.netns.serve(80, kind)
    assert lab.outside.ask("172.31.255.1", 30080, kind) == "172.31.255.254"
    assert host.netns.ask("172.31.255.1", 30080, kind), "from the host by its address"
    assert host.netns.ask("127.0.0.1", 30080, kind), "from the host by loopback"
    assert other.netns.ask("172.31.255.1", 30080, kind), "from another pod"
    assert pod.netns.ask("172.31.255.1", 30080, kind), "from the pod itself"
    host.call("delete", pod.attachment)
    assert lab.outside.ask("172.31.255.1", 30080, kind, timeout_s=SOON_S) == ""


def test_a_host_port_of_one_address_is_not_of_another(lab: Lab, host: Host) -> None:
    pod = host.pod(PortMapping(host_port=30080, container_port=80, host_ip="127.0.0.1"))
    pod.netns.serve(80)
    assert host.netns.ask("127.0.0.1", 30080)
    assert lab.outside.ask("172.31.255.1", 30080, timeout_s=SOON_S) == ""


def test_a_host_port_does_not_catch_traffic_to_other_hosts(lab: Lab, host: Host) -> None:
    host.pod(PortMapping(host_port=30080, container_port=80))
    lab.outside.serve(30080)
    assert host.pod().netns.ask("172.31.255.254", 30080) == "172.31.255.1"


#: Asks once per line of its input, always from the same port.
LOYAL_CLIENT = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1); s.connect(("172.31.255.1", 30080))
for line in sys.stdin:
    try:
        s.send(b"?"); print(s.recv(99).decode(), flush=True)
    except OSError as error:
        print(type(error).__name__, flush=True)
"""


def test_a_udp_client_that_keeps_its_port_follows_to_the_next_pod(lab: Lab, host: Host) -> None:
    command = lab.outside.command(sys.executable, "-ISEc", LOYAL_CLIENT)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdin and client.stdout

        def ask() -> str:
            assert client.stdin and client.stdout
            print("ask", file=client.stdin, flush=True)
            return client.stdout.readline().strip()

        assert ask() != "172.31.255.254", "nobody there"
        for _ in range(2):
            pod = host.pod(PortMapping(host_port=30080, container_port=80, protocol="UDP"))
            pod.netns.serve(80, "UDP")
            assert ask() == "172.31.255.254"
            host.call("delete", pod.attachment)


def test_a_host_that_forwards_nothing_lets_pods_through(lab: Lab) -> None:
    """The state that Docker leaves a host in."""
    one, two = lab.host(1), lab.host(2)
    if one.netns.run("sh", "-c", "iptables -P FORWARD DROP && echo yes", check=False) != "yes":
        pytest.skip("no iptables here, so nothing on this host can have such a policy by it")
    nodes = {f"n{n}": Peer(address=f"172.31.255.{n}", pod_cidr=f"10.160.{n}.0/24") for n in (1, 2)}
    before = one.netns.run("iptables", "-S")
    for number, host in enumerate((one, two), 1):
        assert host.call("setup", f"10.160.{number}.0/24") == []
        host.call("peers", nodes)
    one.call("setup", "10.160.1.0/24")
    pod, far = one.pod(PortMapping(host_port=30080, container_port=80)), two.pod()
    pod.netns.serve(80)
    lab.outside.serve(80)
    assert pod.netns.ask("172.31.255.254", 80) == "172.31.255.1"
    assert lab.outside.ask("172.31.255.1", 30080) == "172.31.255.254"
    assert far.netns.ask(pod.address, 80) == far.address
    lab.outside.ip("route add 10.160.1.0/24 via 172.31.255.1")
    assert lab.outside.ask(pod.address, 80, timeout_s=SOON_S) == "", "others stay shut out"
    one.call("teardown")
    assert one.netns.run("iptables", "-S") == before


def test_a_pod_cannot_reach_the_host_s_loopback(host: Host) -> None:
    host.netns.serve(6000, address="127.0.0.1")
    assert host.netns.ask("127.0.0.1", 6000) == "127.0.0.1"
    pod = host.pod()
    pod.netns.run("sh", "-c", "echo 1 >/proc/sys/net/ipv4/conf/eth0/route_localnet")
    pod.netns.ip("addr del 127.0.0.1/8 dev lo")
    pod.netns.ip("route flush table local match 127.0.0.0/8", check=False)
    pod.netns.ip(f"route add 127.0.0.0/8 via 10.160.1.1 dev eth0 src {pod.address}")
    assert "via 10.160.1.1" in pod.netns.ip("route get 127.0.0.1")
    assert pod.netns.ask("127.0.0.1", 6000, timeout_s=SOON_S) == ""


def test_a_service_s_address_leads_pods_to_where_it_is_and_nobody_else(lab: Lab, host: Host) -> None:
    """The API's: on this host's loopback, then on another host; also when the table was set up anew."""
    host.netns.serve(6443)
    pod, service = host.pod(), ["10.96.0.1", 443]
    assert pod.netns.ask("10.96.0.1", 443, timeout_s=SOON_S) == ""
    host.call("services", [[service, ["127.0.0.1", 6443]]])
    assert pod.netns.ask("10.96.0.1", 443) == pod.address
    host.call("setup", "10.160.1.0/24")
    assert pod.netns.ask("10.96.0.1", 443) == pod.address
    assert pod.netns.ask("10.96.0.1", 80, timeout_s=SOON_S) == ""
    lab.outside.serve(7443)
    host.call("services", [[service, ["172.31.255.254", 7443]]])
    assert pod.netns.ask("10.96.0.1", 443) == "172.31.255.1"
    host.call("services", [])
    assert pod.netns.ask("10.96.0.1", 443, timeout_s=SOON_S) == ""


def test_a_port_of_a_host_process_is_refused_with_its_name(host: Host) -> None:
    server = host.netns.serve(30080)
    mapping = PortMapping(host_port=30080, container_port=80)
    with pytest.raises(Refused, match=rf"30080/TCP is held by process python\S* \(pid {server.pid}\)") as caught:
        host.pod(mapping, name="web")
    assert (caught.value.reason, caught.value.retryable) == ("PortInUse", True)
    server.kill()
    server.wait(timeout=10)
    assert host.pod(mapping, name="web2").address


def test_no_process_of_the_host_can_take_a_pod_s_port(host: Host) -> None:
    pod = host.pod(PortMapping(host_port=30080, container_port=80))
    with pytest.raises(AssertionError, match="Address already in use"):
        host.netns.serve(30080)
    host.call("delete", pod.attachment)
    host.netns.serve(30080)


def test_a_range_that_the_host_routes_elsewhere_is_refused(lab: Lab) -> None:
    host = lab.host(1)
    host.netns.ip("route add 10.160.0.0/16 via 172.31.255.254")
    with pytest.raises(Refused, match=r"10.160.1.0/24 overlaps the host's route to 10.160.0.0/16"):
        host.call("setup", "10.160.1.0/24")


def test_a_network_of_the_host_within_the_cluster_s_is_told(lab: Lab) -> None:
    host = lab.host(1)
    host.netns.ip("addr add 10.170.0.5/16 dev eth0")
    (warning,) = host.call("setup", "10.160.1.0/24")
    assert "10.170.0.0/16 lies in the cluster CIDR 10.160.0.0/11" in warning


NFT_COMMANDS = ("/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft")
NFT_LIBRARIES = ("/usr/lib/*/libnftables.so*", "/lib/*/libnftables.so*")


def _covered(over: str, *paths: str) -> list[str]:
    """Runs the rest of the command where these files are covered by another."""
    binds = "".join(f"for f in {path}; do [ ! -e $f ] || mount --bind {over} $f; done; " for path in paths)
    return ["unshare", "--mount", "sh", "-c", f'{binds} exec "$0" "$@"']


def test_without_nftables_pods_talk_and_the_lack_is_said(lab: Lab) -> None:
    host = lab.host(1)
    namespaces = [lab.netns() for _ in range(3)]
    host.prelude = _covered("/dev/null", *NFT_COMMANDS, *NFT_LIBRARIES)
    (warning,) = host.call("setup", "10.160.1.0/24")
    assert "no address translation" in warning and "apt-get install nftables" in warning
    one, two = (host.pod(netns=netns) for netns in namespaces[:2])
    two.netns.serve(80)
    assert one.netns.ask(two.address, 80) == one.address
    with pytest.raises(Refused, match=r"host ports need address translation.*apt-get install nftables"):
        host.pod(PortMapping(host_port=30080, container_port=80), netns=namespaces[2])


def test_the_nft_command_does_what_the_library_does(lab: Lab, tmp_path: Path) -> None:
    """The command needs the library itself: it gets a copy that only it can find."""
    (tmp_path / "lib").mkdir()
    shutil.copy(shutil.which("nft") or "", tmp_path / "nft-itself")
    for library in Path("/usr/lib").glob("*/libnftables.so.1"):
        shutil.copy(library, tmp_path / "lib")
    wrapper = tmp_path / "nft"
    wrapper.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH={tmp_path}/lib exec {tmp_path}/nft-itself "$@"\n')
    wrapper.chmod(0o755)
    host, netns = lab.host(1), lab.netns()
    host.prelude = [*_covered("/dev/null", *NFT_LIBRARIES), *_covered(str(wrapper), *NFT_COMMANDS)]
    assert host.call("setup", "10.160.1.0/24") == []
    pod = host.pod(PortMapping(host_port=30080, container_port=80), netns=netns)
    pod.netns.serve(80)
    assert lab.outside.ask("172.31.255.1", 30080) == "172.31.255.254"
    host.call("teardown")
    assert host.netns.run("nft", "list", "ruleset") == ""


def test_without_a_default_route_it_says_what_pods_cannot_reach(lab: Lab) -> None:
    host = lab.host(1)
    host.netns.ip("route del default")
    assert host.call("setup", "10.160.1.0/24") == [
        "this host has no default route: pods reach nodes and pods, nothing beyond"
    ]


def test_a_bridge_that_was_removed_is_made_again_and_old_pods_are_back_on_it(host: Host) -> None:
    old = host.pod()
    old.netns.serve(80)
    host.netns.ip("link del raypod0")
    new = host.pod()
    assert new.netns.ask(old.address, 80) == new.address
    assert host.netns.ask(old.address, 80) == "10.160.1.1"
    assert old.netns.ask(old.address, 80)

"""The nodelet's network killed with -9 at any point: pods keep their network, and nothing is leaked or given twice."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from network_hosts import Host, Lab, Refused

from actors.plugins.network.port import Attachment, PortMapping

pytestmark = pytest.mark.root

POD_CIDR = "10.160.1.0/24"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path)
    yield lab
    lab.close()


@pytest.fixture
def host(lab: Lab) -> Host:
    host = lab.host(1)
    host.call("setup", POD_CIDR)
    return host


def on_bridge(host: Host) -> set[str]:
    return {link["ifname"] for link in json.loads(host.netns.ip("-j link show master raypod0"))}


def test_a_restart_changes_nothing_for_running_pods(lab: Lab, host: Host) -> None:
    mapping = PortMapping(host_port=30080, container_port=80)
    pod = host.pod(mapping, name="web")
    pod.netns.serve(80)
    host.kill()
    assert lab.outside.ask("172.31.255.1", 30080) == "172.31.255.254", "while nobody manages it"
    host.call("setup", POD_CIDR)
    assert lab.outside.ask("172.31.255.1", 30080) == "172.31.255.254"
    assert host.call("add", pod.attachment)["ips"] == [pod.address]
    assert pod.address not in {host.pod().address for _ in range(3)}
    with pytest.raises(AssertionError, match="Address already in use"):
        host.netns.serve(30080)
    host.call("delete", pod.attachment)
    assert lab.outside.ask("172.31.255.1", 30080, timeout_s=0.7) == ""


def test_an_address_is_not_reused_at_once_across_a_restart(host: Host) -> None:
    pod = host.pod()
    host.call("delete", pod.attachment)
    host.kill()
    host.call("setup", POD_CIDR)
    assert host.pod().address != pod.address


def test_killed_while_adding_and_deleting(lab: Lab, host: Host) -> None:
    """The kills fall between any two system calls; what the kernel holds is then compared with what was answered."""
    chance = random.Random(7)
    namespaces = [lab.netns() for _ in range(6)]
    attachments = [
        Attachment(
            sandbox_id=f"sandbox-{index}",
            netns_path=str(netns.path),
            ports=(PortMapping(host_port=31000 + index, container_port=80),) if index % 2 else (),
        )
        for index, netns in enumerate(namespaces)
    ]
    for _ in range(8):
        driver = host.start()
        assert driver.stdin
        commands: list[tuple[str, object]] = [("setup", POD_CIDR)]
        for attachment in chance.sample(attachments, len(attachments)):
            commands += [("add", attachment), ("delete", attachment), ("add", attachment)]
        send = "".join(json.dumps([verb, _plain(argument)]) + "\n" for verb, argument in commands)
        driver.stdin.write(send)
        driver.stdin.flush()
        assert driver.stdout and driver.stdout.readline()
        time.sleep(chance.uniform(0, 0.25))
        host.kill()
    host.call("setup", POD_CIDR)
    answers = [host.call("add", attachment)["ips"][0] for attachment in attachments]
    assert len(set(answers)) == len(answers)
    for netns, address in zip(namespaces, answers, strict=True):
        assert f"inet {address}/24" in netns.ip("addr show eth0")
    assert len(on_bridge(host)) == len(attachments)
    host.call("collect", [])
    assert on_bridge(host) == set()
    assert "elements" not in host.netns.run("nft", "list", "table", "ip", "raypod0")
    assert list((host.root / "leases").iterdir()) == []


def test_a_pod_whose_namespace_died_unnoticed_is_wired_again(lab: Lab, host: Host) -> None:
    pod = host.pod(name="web")
    pod.netns.ip("link del eth0")
    assert host.call("add", pod.attachment)["ips"] == [pod.address]
    assert f"inet {pod.address}/24" in pod.netns.ip("addr show eth0")


def test_a_lease_that_cannot_be_read_costs_one_pod_not_the_node(host: Host) -> None:
    kept, torn = host.pod(), host.pod()
    host.kill()
    for path in (host.root / "leases").glob("*.json"):
        if torn.address in path.read_text():
            path.write_text("{")
    (host.root / "last").write_text("not an address")
    host.call("setup", POD_CIDR)
    assert host.call("add", kept.attachment)["ips"] == [kept.address]
    assert host.call("add", torn.attachment)["ips"][0] != kept.address
    assert len(on_bridge(host)) == 2


def test_a_full_disk_costs_a_pod_its_start_and_nothing_else(lab: Lab) -> None:
    host = lab.host(1)
    host.root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "raypod-test", str(host.root)], check=True, timeout=30)
    try:
        host.call("setup", POD_CIDR)
        kept, netns = host.pod(), lab.netns()
        with open(host.root / "ballast", "wb", buffering=0) as ballast, contextlib.suppress(OSError):
            while True:
                ballast.write(b"0" * 4096)
        for _ in range(3):
            with pytest.raises(Refused, match=r"No space left on device.*free some space") as caught:
                host.pod(PortMapping(host_port=30080, container_port=80), name="late", netns=netns)
        assert caught.value.retryable
        assert len(on_bridge(host)) == 1
        taken = host.netns.serve(30080)
        taken.kill()
        taken.wait(timeout=10)
        (host.root / "ballast").unlink()
        late = host.pod(PortMapping(host_port=30080, container_port=80), name="late", netns=netns)
        assert late.address != kept.address
        host.call("teardown")
        assert host.links() == {"lo", "eth0"}
    finally:
        host.kill()
        subprocess.run(["umount", str(host.root)], check=True, timeout=30)


def test_teardown_by_a_process_that_never_set_up(host: Host) -> None:
    host.pod(PortMapping(host_port=30080, container_port=80))
    host.kill()
    host.call("teardown")
    assert host.links() == {"lo", "eth0"}
    assert host.netns.run("nft", "list", "ruleset") == ""
    assert not host.root.exists()


def _plain(argument: object) -> object:
    if not isinstance(argument, Attachment):
        return argument
    return {
        "sandbox_id": argument.sandbox_id,
        "netns_path": argument.netns_path,
        "ports": [{"host_port": p.host_port, "container_port": p.container_port} for p in argument.ports],
    }

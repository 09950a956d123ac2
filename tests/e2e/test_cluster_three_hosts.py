"""Three hosts: the control plane comes up on one, Ray nodes join from the others, a host dies, its pods are replaced."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from control_plane import ControlPlane, environment, wait_until
from hosts import Host, made_hosts

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]


def join(host: Host, plane: ControlPlane, head: Host, folder: Path) -> subprocess.Popen[bytes]:
    """A plain `ray start` on the host, told which node of raypod it is."""
    session = plane.state["session"]
    ray = str(Path(sys.executable).parent / "ray")
    words = [
        ray, "start", f"--address={head.address}:{session['port']}", f"--node-ip-address={host.address}", "--block",
        "--labels", f"raypod.io/node={host.name}", f"--temp-dir={folder}", "--num-cpus=2", "--disable-usage-stats",
    ]  # fmt: skip
    settings = {
        "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": session["token"], "RAY_memory_monitor_refresh_ms": "0",
        "RAY_gcs_rpc_server_reconnect_timeout_s": "600", "RAYPOD_PART": str(plane.home),
    }  # fmt: skip
    log = open(folder.with_suffix(".log"), "wb")  # noqa: SIM115
    return subprocess.Popen(
        host.command(words), env={**environment(), **settings}, stdout=log, stderr=log, stdin=subprocess.DEVNULL
    )


@pytest.fixture
def hosts() -> Iterator[list[Host]]:
    with made_hosts(3) as made:
        yield made


def deployment(replicas: int) -> str:
    """Pods that spread, one a node, by asking for most of a node's CPUs."""
    container = {
        "name": "main", "image": "host", "command": ["sleep", "1000"], "resources": {"requests": {"cpu": "900m"}},
    }  # fmt: skip
    labels = {"app": "spread"}
    spec = {
        "replicas": replicas, "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
        },
    }  # fmt: skip
    meta = {"name": "spread"}
    return json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec})


def running_by_node(plane: ControlPlane) -> dict[str, int]:
    counts: dict[str, int] = {}
    for pod in plane.get("pods", "-l", "app=spread")["items"]:
        if pod["status"]["phase"] == "Running" and "deletionTimestamp" not in pod["metadata"]:
            counts[pod["spec"]["nodeName"]] = counts.get(pod["spec"]["nodeName"], 0) + 1
    return counts


def run_in_each(plane: ControlPlane) -> set[str]:
    """The nodes in whose pods a command says what it is told."""
    found = set()
    for pod in plane.get("pods", "-l", "app=spread")["items"]:
        name, node = pod["metadata"]["name"], pod["spec"]["nodeName"]
        if node in plane.kubectl("exec", "-i", name, "--", "cat", text=node):
            found.add(node)
    return found


def ready_nodes(plane: ControlPlane) -> set[str]:
    def is_ready(node: dict[str, Any]) -> bool:
        return any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"].get("conditions", ()))

    return {node["metadata"]["name"] for node in plane.get("nodes")["items"] if is_ready(node)}


def test_pods_run_on_three_hosts_and_survive_the_death_of_one(hosts: list[Host], short_path: Path) -> None:
    head, second, third = hosts
    config = (
        f"node_name: h1\nray: {{node_ip: {head.address}, cpus: 2}}\ngateway: {{port: 0, address: {head.address}}}\n"
    )
    plane = ControlPlane(short_path / "home", config, wrap=head.command)
    joined: list[subprocess.Popen[bytes]] = []
    try:
        assert plane.up()["nodes"] == ["h1"]
        joined = [join(host, plane, head, short_path / host.name) for host in (second, third)]
        wait_until("three nodes are Ready", lambda: ready_nodes(plane) == {"h1", "h2", "h3"}, 90)

        plane.kubectl("apply", "-f", "-", text=deployment(3))
        wait_until("pods run on all three", lambda: set(running_by_node(plane)) == {"h1", "h2", "h3"}, 60)
        assert run_in_each(plane) == {"h1", "h2", "h3"}, "streams reach every host"

        third.kill()
        wait_until("its pods are replaced", lambda: _replaced(plane), 60)
        assert "h3" not in ready_nodes(plane)
    finally:
        plane.down()
        for process in joined:
            process.kill()
            process.wait(10)
    assert os.listdir(plane.home / "nodes")
    assert not plane.mounts()


def _replaced(plane: ControlPlane) -> bool:
    counts = running_by_node(plane)
    return sum(counts.values()) == 3 and set(counts) == {"h1", "h2"}

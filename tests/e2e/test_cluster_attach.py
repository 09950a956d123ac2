"""`up --address`: on a Ray cluster that somebody else started, whose nodes have no label of ours, and that stays."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from control_plane import ControlPlane, environment, pod, wait_until
from hosts import Host, made_hosts

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]
PORT = 6390


@pytest.fixture
def head(short_path: Path) -> Iterator[Host]:
    """A host with a plain Ray head."""
    with made_hosts(1) as (host,):
        words = [
            str(Path(sys.executable).parent / "ray"), "start", "--head", f"--port={PORT}", "--include-dashboard=false",
            f"--node-ip-address={host.address}", f"--temp-dir={short_path / 'ray'}", "--num-cpus=2",
            "--disable-usage-stats",
        ]  # fmt: skip
        done = host.run(*words, env=environment(), timeout=90)
        assert done.returncode == 0, done.stderr
        yield host


def test_up_and_down_on_a_running_ray_cluster(head: Host, short_path: Path) -> None:
    address = f"{head.address}:{PORT}"
    plane = ControlPlane(short_path / "home", f"gateway: {{port: 0, address: {head.address}}}\n", wrap=head.command)
    node = "ray-" + head.address.replace(".", "-")

    first = plane.up("--address", address)
    assert (first["nodes"], first["already"]) == ([node], False)
    assert plane.up()["already"], "the address is remembered"
    plane.kubectl("apply", "-f", "-", text=pod("there", "echo on $(hostname)"))
    wait_until("it ends", lambda: plane.get("pod", "there")["status"]["phase"] == "Succeeded")
    assert plane.kubectl("logs", "there") == "on there\n"

    assert plane.down() == {"was_up": True, "nodes": [node]}
    assert not plane.mounts()
    ours = subprocess.run(["pgrep", "-f", "^ray::(Store|Gateway|Nodelet)Actor"], capture_output=True, text=True).stdout
    inside = head.run("sh", "-c", "ps -eo args | grep -c '[r]ay::.*Actor' || true").stdout.strip()
    assert inside == "0", (inside, ours)
    assert "raylet" in head.run("ps", "-eo", "args").stdout, "Ray itself was taken down"
    assert plane.down() == {"was_up": False, "nodes": []}


def test_an_address_where_nothing_answers_is_told(short_path: Path) -> None:
    answer = ControlPlane(short_path / "home").speak("up", "--address", "127.0.0.1:1", timeout=120)
    assert "no Ray cluster answers at 127.0.0.1:1" in answer["error"]
    assert "\n" not in answer["error"]

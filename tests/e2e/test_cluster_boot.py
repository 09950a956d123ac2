"""`up` and `down` in every order: twice, half way, after everything was killed, beside a folder called `actors`."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from control_plane import ControlPlane, environment, pod, wait_until

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]
CONFIG = "node_name: boot\ngateway: {port: 0}\n"


@pytest.fixture
def plane(short_path: Path) -> Iterator[ControlPlane]:
    made = ControlPlane(short_path / "home", CONFIG)
    yield made
    made.speak("down")


def nothing_left(plane: ControlPlane) -> bool:
    return not plane.processes() and not plane.mounts()


def test_up_twice_then_down_twice(plane: ControlPlane) -> None:
    assert not plane.up()["already"]
    keeper = plane.pid_of("keeper")
    assert plane.up()["already"]
    assert plane.pid_of("keeper") == keeper

    plane.kubectl("apply", "-f", "-", text=pod("stays", "sleep 1000"))
    wait_until("the pod runs", lambda: plane.get("pod", "stays")["status"]["phase"] == "Running")
    assert plane.mounts()
    assert plane.down() == {"was_up": True, "nodes": ["boot"]}
    assert nothing_left(plane)
    assert not (plane.home / "run").exists()
    assert plane.down() == {"was_up": False, "nodes": []}


def test_an_up_killed_half_way_is_finished_by_the_next(plane: ControlPlane) -> None:
    for delay in (0.3, 1.5):
        half = subprocess.Popen(plane.command("up"), env=environment(), stdout=subprocess.DEVNULL)
        time.sleep(delay)
        half.kill()
        half.wait()
    assert plane.up()["nodes"] == ["boot"]


def test_state_survives_down_and_up(plane: ControlPlane) -> None:
    plane.up()
    plane.kubectl("create", "configmap", "kept", "--from-literal=a=b")
    plane.kubectl("create", "service", "clusterip", "kept", "--tcp=80")
    address = plane.get("service", "kept")["spec"]["clusterIP"]
    plane.down()
    plane.up()
    assert plane.get("configmap", "kept")["data"] == {"a": "b"}
    assert plane.get("service", "kept")["spec"]["clusterIP"] == address
    assert plane.get("ipaddress", address)["spec"]["parentRef"]["name"] == "kept"
    assert plane.get("service", "kubernetes")["spec"]["clusterIP"] == "10.96.0.1"
    wait_until("the API tells where it is", lambda: plane.get("endpoints", "kubernetes")["subsets"])
    port = plane.get("endpointslice", "kubernetes")["ports"][0]["port"]
    assert plane.get("endpoints", "kubernetes")["subsets"][0]["ports"][0]["port"] == port


def test_down_cleans_up_after_everything_was_killed(plane: ControlPlane) -> None:
    plane.up()
    plane.kubectl("apply", "-f", "-", text=pod("orphan", "sleep 1000"))
    wait_until("the pod runs", lambda: plane.get("pod", "orphan")["status"]["phase"] == "Running")
    for part in ("keeper", "SupervisorActor", "gcs", "raylet", "zygote"):
        plane.kill(part)
    for pid, _ in plane.processes():
        os.kill(pid, signal.SIGKILL)
    assert plane.mounts()
    plane.down()
    assert nothing_left(plane)


def test_a_folder_called_actors_in_the_current_directory_is_not_imported(plane: ControlPlane, tmp_path: Path) -> None:
    (tmp_path / "actors").mkdir()
    (tmp_path / "actors" / "__init__.py").write_text("raise RuntimeError('the wrong package')")
    done = subprocess.run(plane.command("up"), env=environment(), cwd=tmp_path, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    plane.kubectl("apply", "-f", "-", text=pod("one", "true"))
    wait_until("it ends", lambda: plane.get("pod", "one")["status"]["phase"] == "Succeeded")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gatway: {}", ("gatway", "gateway")),
        ("ray: {cpu: 3}", ("cpu", "cpus", "under ray")),
        ("gateway: {port: many}", ("gateway.port", "int")),
        ("a: b: c", ("not YAML",)),
    ],
)
def test_a_wrong_configuration_is_told_in_one_sentence(short_path: Path, text: str, words: tuple[str, ...]) -> None:
    answer = ControlPlane(short_path / "home", text).speak("up")
    assert all(word in answer["error"] for word in words), answer
    assert "\n" not in answer["error"]


def test_a_port_that_is_taken_is_told(short_path: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        plane = ControlPlane(short_path / "home", f"gateway: {{port: {port}}}\n")
        try:
            assert str(port) in plane.speak("up")["error"]
        finally:
            plane.down()

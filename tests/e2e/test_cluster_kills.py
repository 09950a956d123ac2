"""kill -9 of every part under running work: the next request is answered in time, no container stops, no line is lost."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from control_plane import COUNTING, ControlPlane, pod, wait_until

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]
ANSWER_SECONDS = 5.0
PARTS = (
    "StoreActor", "GatewayActor", "SchedulerActor", "ControllersActor", "NodeletActor", "SupervisorActor",
    "zygote", "keeper", "gcs", "raylet",
)  # fmt: skip


@pytest.fixture(scope="module")
def plane(short_module_path: Path) -> Iterator[ControlPlane]:
    made = ControlPlane(short_module_path / "home", "node_name: kills\ngateway: {port: 0}\n")
    made.up()
    made.kubectl("apply", "-f", "-", text=pod("counter", COUNTING))
    wait_until("the counter runs", lambda: "line 3" in made.kubectl("logs", "counter", check=False))
    yield made
    made.speak("down")


def container_pid(plane: ControlPlane) -> str:
    return str(plane.get("pod", "counter")["status"]["containerStatuses"][0]["containerID"])


def longest_silence(plane: ControlPlane, part: str, seconds: float) -> tuple[float, set[str]]:
    """The longest time between two answered writes while `part` is killed, and what was acknowledged."""
    plane.kill(part)
    last, longest, began = time.monotonic(), 0.0, time.monotonic()
    acknowledged: set[str] = set()
    while time.monotonic() - began < seconds or not acknowledged:
        name = f"w-{time.monotonic_ns()}"
        said = plane.kubectl("create", "configmap", name, "--request-timeout=10s", check=False, timeout=30)
        now = time.monotonic()
        assert now - began < 60, f"no answer since {part} was killed: {plane.logs()}"
        if "created" in said:
            longest, last = max(longest, now - last), now
            acknowledged.add(f"configmap/{name}")
    return longest, acknowledged


@pytest.mark.parametrize("part", PARTS)
def test_killed_under_running_work(plane: ControlPlane, part: str) -> None:
    before, restarts = (
        container_pid(plane),
        plane.get("pod", "counter")["status"]["containerStatuses"][0]["restartCount"],
    )
    silence, acknowledged = longest_silence(plane, part, 6 if part == "raylet" else 3)
    assert silence < ANSWER_SECONDS
    assert acknowledged <= set(plane.kubectl("get", "configmaps", "-o", "name").split())

    name = f"after-{part.lower()}"
    plane.kubectl("apply", "-f", "-", text=pod(name, "echo well; exit 7"))
    ended = wait_until("a new pod ends", lambda: _exit_code(plane, name), 20)
    assert ended == 7
    assert plane.kubectl("logs", name) == "well\n"

    assert container_pid(plane) == before
    assert plane.get("pod", "counter")["status"]["containerStatuses"][0]["restartCount"] == restarts
    numbers = [int(n) for n in re.findall(r"line (\d+)", plane.kubectl("logs", "counter"))]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) > 3


def _exit_code(plane: ControlPlane, name: str) -> int | None:
    statuses = plane.get("pod", name)["status"].get("containerStatuses") or [{}]
    code = statuses[0].get("state", {}).get("terminated", {}).get("exitCode")
    return None if code is None else int(code)

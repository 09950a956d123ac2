"""The nodelet over the real runtime, network and disk: pods run, and a kill -9 of the nodelet stops nothing."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.root

_SCRIPT = Path(__file__).with_name("nodelet_process.py")
_ROOT = Path(__file__).parents[2]


class Nodelet:
    """The process, started again on the same state after a kill."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.bridge = f"rpt{os.getpid() % 100_000}"
        self.start()

    def start(self) -> None:
        command = [sys.executable, str(_SCRIPT), str(self.state), self.bridge, "10.197.0.0/16"]
        environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
        with (self.state / "stderr").open("ab") as errors:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, env=environment, text=True
            )

    def ask(self, verb: str, **arguments: Any) -> Any:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps({"verb": verb, **arguments}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert "error" not in answer or verb == "get", answer
        return answer.get("result")

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def wait(self, name: str, what: Callable[[dict[str, Any]], bool], seconds: float = 20) -> dict[str, Any]:
        end = time.monotonic() + seconds
        while True:
            pod = self.ask("get", name=name)
            if pod is not None and what(pod.get("status") or {}):
                return pod["status"]
            stderr = (self.state / "stderr").read_text()[-3_000:]
            assert time.monotonic() < end, f"{name}: {json.dumps(pod and pod.get('status'), indent=1)}\n{stderr}"
            time.sleep(0.02)

    def wait_gone(self, name: str, seconds: float = 20) -> None:
        end = time.monotonic() + seconds
        while self.ask("get", name=name) is not None:
            assert time.monotonic() < end, f"{name} is not gone"
            time.sleep(0.02)


def launchers(state: Path) -> list[int]:
    """Processes that were started for this state directory (the nodelet itself aside)."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                arguments = (entry / "cmdline").read_bytes()
                if b"launcher.main" in arguments and str(state).encode() in arguments:
                    found.append(int(entry.name))
    return found


def left_behind(nodelet: Nodelet) -> list[str]:
    """Mounts, bridge and launcher of a node that was torn down. The launcher ends a moment after it said so."""
    mounts = [line for line in Path("/proc/mounts").read_text().splitlines() if str(nodelet.state) in line]
    bridge = [nodelet.bridge] if Path(f"/sys/class/net/{nodelet.bridge}").exists() else []
    return mounts + bridge + [f"launcher {pid}" for pid in launchers(nodelet.state)]


@pytest.fixture
def nodelet(tmp_path: Path) -> Iterator[Nodelet]:
    process = Nodelet(tmp_path)
    try:
        yield process
        process.ask("teardown")
        end = time.monotonic() + 5
        while left := left_behind(process):
            assert time.monotonic() < end, f"left behind: {left}"
            time.sleep(0.02)
    finally:
        process.kill()
        for pid in launchers(tmp_path):
            os.kill(pid, signal.SIGKILL)


def pod(name: str, script: str, **spec: Any) -> dict[str, Any]:
    container = {"name": "main", "image": "host", "command": ["/bin/sh", "-c", script]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "nodeName": "n1",
            "restartPolicy": "Never",
            "containers": [container],
            "automountServiceAccountToken": False,  # no controllers here, which make what lies beside the token
            **spec,
        },
    }


def is_phase(phase: str) -> Callable[[dict[str, Any]], bool]:
    return lambda status: status.get("phase") == phase


def test_a_pod_runs_prints_and_ends(nodelet: Nodelet) -> None:
    nodelet.ask("create", object=pod("a", "echo hello from $(hostname); exit 3"))
    status = nodelet.wait("a", is_phase("Failed"))
    assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 3
    assert status["podIP"].startswith("10.197.")
    assert "stdout F hello from a\n" in nodelet.ask("log", name="a", container="main")
    nodelet.ask("delete", name="a")
    nodelet.wait_gone("a")
    assert "hello from a" in nodelet.ask("log", name="a", container="main"), "logs outlive the pod"


def test_a_kill_of_the_nodelet_stops_nothing_and_loses_nothing(nodelet: Nodelet) -> None:
    count = "i=0; while [ $i -lt 60 ]; do i=$((i+1)); echo line $i; sleep 0.05; done; exit 5"
    nodelet.ask("create", object=pod("counting", count))
    nodelet.ask(
        "create", object=pod("server", "trap 'exit 9' TERM; while :; do sleep 0.1; done", restartPolicy="Always")
    )
    before = nodelet.wait("server", is_phase("Running"))
    nodelet.wait("counting", is_phase("Running"))
    for _ in range(4):
        nodelet.kill()
        time.sleep(0.5)
        nodelet.start()
        time.sleep(0.3)
    status = nodelet.wait("counting", is_phase("Failed"))
    assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 5
    assert status["containerStatuses"][0]["restartCount"] == 0
    lines = [line.partition(" F ")[2] for line in nodelet.ask("log", name="counting", container="main").splitlines()]
    assert lines == [f"line {i}" for i in range(1, 61)]
    after = nodelet.wait("server", is_phase("Running"))
    assert after["containerStatuses"] == before["containerStatuses"], "it never stopped"
    assert after["podIP"] == before["podIP"]


@pytest.mark.parametrize("delay_ms", [0, 2, 5, 10, 20, 40, 80])
def test_a_kill_while_a_pod_is_being_started(nodelet: Nodelet, delay_ms: int) -> None:
    nodelet.ask("create", object=pod("warm", "exit 0"))
    nodelet.wait("warm", is_phase("Succeeded"))
    marks = nodelet.state / "marks"
    marks.mkdir()
    once = pod(
        "a", "echo started >> /marks/runs; sleep 0.3; exit 4", volumes=[{"name": "m", "hostPath": {"path": str(marks)}}]
    )
    once["spec"]["containers"][0]["volumeMounts"] = [{"name": "m", "mountPath": "/marks"}]
    nodelet.ask("create", object=once)
    time.sleep(delay_ms / 1_000)
    nodelet.kill()
    nodelet.start()
    status = nodelet.wait("a", is_phase("Failed"))
    assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 4
    assert (marks / "runs").read_text() == "started\n", "it ran exactly once"


def test_no_such_command_and_a_graceful_stop(nodelet: Nodelet) -> None:
    wrong = pod("wrong", "")
    wrong["spec"]["containers"][0]["command"] = ["/no/such/command"]
    nodelet.ask("create", object=wrong)
    nodelet.ask("create", object=pod("polite", "trap 'echo bye; exit 0' TERM; while :; do sleep 0.05; done"))
    status = nodelet.wait("wrong", is_phase("Failed"))
    ended = status["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (127, "StartError")
    assert "/no/such/command" in ended["message"]
    nodelet.wait("polite", is_phase("Running"))
    nodelet.ask("delete", name="polite", grace=10)
    nodelet.wait_gone("polite", 5)
    assert "bye" in nodelet.ask("log", name="polite", container="main")


def test_a_kill_of_the_launcher_stops_nothing_and_loses_nothing(nodelet: Nodelet) -> None:
    count = "i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo line $i; sleep 0.05; done; exit 6"
    nodelet.ask("create", object=pod("counting", count))
    nodelet.wait("counting", is_phase("Running"))
    for which in (max, min, max):
        time.sleep(0.5)
        os.kill(which(launchers(nodelet.state)), signal.SIGKILL)
    status = nodelet.wait("counting", is_phase("Failed"))
    assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 6
    assert status["containerStatuses"][0]["restartCount"] == 0
    lines = [line.partition(" F ")[2] for line in nodelet.ask("log", name="counting", container="main").splitlines()]
    assert lines == [f"line {i}" for i in range(1, 41)]
    nodelet.ask("create", object=pod("next", "exit 0"))
    nodelet.wait("next", is_phase("Succeeded"))

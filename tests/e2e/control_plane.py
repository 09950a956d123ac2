"""A control plane of the test's own: `up`, `down`, kubectl against it, and kill -9 of its parts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parents[2]
KUBECTL = Path(sys.executable).parent / "kubectl"
RAY_PARTS = ("keeper", "gcs", "raylet", "zygote")
#: A sleeper says a line ten times a second, numbered, so that a gap would show.
COUNTING = "i=0; while [ $i -lt 100000 ]; do echo line $i; i=$((i+1)); sleep 0.1; done"

T = TypeVar("T")
Wrap = Callable[[Sequence[str]], list[str]]


class ControlPlane:
    """`wrap` turns a command into one that runs on another host."""

    def __init__(self, home: Path, config: str = "", wrap: Wrap = list) -> None:
        self.home, self._wrap = home, wrap
        home.mkdir(parents=True, exist_ok=True)
        if config:
            (home / "config.yaml").write_text(config)

    @property
    def kubeconfig(self) -> Path:
        return self.home / "kubeconfig"

    @property
    def state(self) -> dict[str, Any]:
        return dict(json.loads((self.home / "run" / "state.json").read_text()))

    def command(self, verb: str, *words: str) -> list[str]:
        return self._wrap([sys.executable, "-P", "-m", "actors.cluster", verb, "--home", str(self.home), *words])

    def speak(self, verb: str, *words: str, timeout: float = 120) -> dict[str, Any]:
        """The last message of the verb: {"result": ...} or {"error": ...}."""
        done = subprocess.run(
            self.command(verb, *words), capture_output=True, text=True, timeout=timeout, env=environment()
        )
        assert done.stdout.strip(), f"{verb} said nothing: {done.stderr[-2000:]}"
        return dict(json.loads(done.stdout.strip().splitlines()[-1]))

    def up(self, *words: str) -> dict[str, Any]:
        answer = self.speak("up", *words)
        assert "result" in answer, f"{answer}; {self.logs()}"
        return dict(answer["result"])

    def down(self, *words: str) -> dict[str, Any]:
        answer = self.speak("down", *words)
        assert "result" in answer, answer
        return dict(answer["result"])

    def kubectl(self, *words: str, text: str = "", check: bool = True, timeout: float = 60) -> str:
        done = subprocess.run(
            self._wrap([str(KUBECTL), "--kubeconfig", str(self.kubeconfig), *words]),
            input=text, capture_output=True, text=True, timeout=timeout,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stderr
        return done.stdout

    def get(self, *words: str) -> Any:
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    def pid_of(self, part: str) -> int:
        """keeper, gcs, raylet, zygote from the state; else the Ray worker of that actor class of this home."""
        if part in RAY_PARTS:
            return int(self.state[part]["pid"])
        return next(pid for pid, title in self.processes() if title.startswith(f"ray::{part}"))

    def processes(self) -> list[tuple[int, str]]:
        """(pid, title) of every process that bears this home's mark."""
        mark, found = f"RAYPOD_PART={self.home}".encode(), []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if mark in (entry / "environ").read_bytes().split(b"\0"):
                        found.append((int(entry.name), (entry / "cmdline").read_text().replace("\0", " ")))
                except OSError:
                    continue
        return found

    def kill(self, part: str) -> None:
        os.kill(self.pid_of(part), signal.SIGKILL)

    def mounts(self) -> list[str]:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        return [line.split()[4] for line in lines if line.split()[4].startswith(f"{self.home}/")]

    def logs(self) -> str:
        """The end of everything that the control plane wrote, for a failing test."""
        files = [
            self.home / "run" / "keeper.log",
            *(self.home / "run" / "ray" / "session" / "logs").glob("worker*.err"),
        ]
        return "\n".join(f"== {f.name}\n{f.read_text()[-1500:]}" for f in files if f.exists())


def environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RAYPOD_", "RAY_"))}
    return kept | {"PYTHONPATH": str(ROOT)}


def pod(name: str, script: str, **spec: Any) -> str:
    """A pod that runs a shell script on the host image, as JSON text."""
    container = {"name": "main", "image": "host", "command": ["sh", "-c", script]}
    body: dict[str, Any] = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [container]}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {**body, **spec}})


def wait_until(what: str, probe: Callable[[], T | None], seconds: float = 30) -> T:
    """The first answer that is true."""
    deadline = time.monotonic() + seconds
    while True:
        answer = probe()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)

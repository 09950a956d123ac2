"""A control plane for a benchmark: an embedded one in a folder of its own, gone afterwards."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from raypod.api import ApiClient
from raypod.kubeconfig import read_endpoint

ROOT = Path(__file__).resolve().parents[1]


class RunningControlPlane:
    """`seconds` by step of `up`."""

    def __init__(self, home: Path, seconds: dict[str, float]) -> None:
        self.home, self.seconds = home, seconds

    def client(self) -> ApiClient:
        """To be made within the event loop that uses it."""
        return ApiClient(read_endpoint(self.home / "kubeconfig"))


@contextmanager
def running_control_plane() -> Iterator[RunningControlPlane]:
    home = Path(tempfile.mkdtemp(prefix="rpb-", dir="/tmp"))
    (home / "config.yaml").write_text("node_name: bench\ngateway: {port: 0}\n")
    try:
        yield RunningControlPlane(home, _speak(home, "up")["seconds"])
    finally:
        _speak(home, "down")
        shutil.rmtree(home, ignore_errors=True)


def _speak(home: Path, verb: str) -> dict[str, Any]:
    command = [sys.executable, "-P", "-m", "actors.cluster", verb, "--home", str(home)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, cwd=ROOT)
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    if "result" not in answer:
        raise RuntimeError(f"{verb}: {answer.get('error')}")
    return dict(answer["result"])

"""What `raypod up` costs: seconds until the API answers and the node is Ready, and memory when idle.

Memory is PSS (each shared page counted once, split among those that share it) of every process of the control plane;
the peer is a single-node Ray head alone, started by `ray start`, as it comes.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.control_plane import running_control_plane

PEER = "ray start --head, without raypod"
_SETTLE_SECONDS = 3.0
_MARK = "RAYPOD_BENCH_PEER"


def measure(quick: bool = False) -> list[dict[str, Any]]:
    turns = 1 if quick else 3
    seconds, memory, launcher = [], [], []
    for _ in range(turns):
        began = time.monotonic()
        with running_control_plane() as plane:
            seconds.append(time.monotonic() - began)
            time.sleep(_SETTLE_SECONDS)
            memory.append(_pss_mib(f"RAYPOD_PART={plane.home}"))
            launcher.append(_launcher_mib(plane.home))
    peer_seconds, peer_mib = _ray_head()
    return [
        _row("up-seconds", seconds, "s", peer_seconds),
        _row("up-memory", memory, "MiB", peer_mib),
        {**_row("launcher-memory", launcher, "MiB", None), "peer": None},
    ]


def _ray_head() -> tuple[float, float]:
    """Seconds and MiB of a plain Ray head."""
    ray = str(Path(sys.executable).parent / "ray")
    mark = {_MARK: str(os.getpid()), "RAY_USAGE_STATS_ENABLED": "0"}
    with tempfile.TemporaryDirectory(prefix="rpb-", dir="/tmp") as folder:
        words = ["start", "--head", "--port=0", "--include-dashboard=false", f"--temp-dir={folder}"]
        began = time.monotonic()
        try:
            subprocess.run([ray, *words], env=os.environ | mark, check=True, capture_output=True, timeout=120)
            seconds = time.monotonic() - began
            time.sleep(_SETTLE_SECONDS)
            return seconds, _pss_mib(f"{_MARK}={os.getpid()}")
        finally:
            for pid in _marked(f"{_MARK}={os.getpid()}"):
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.5)


def _marked(mark: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if mark.encode() in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def _pss_mib(mark: str) -> float:
    return sum(map(_process_pss_mib, _marked(mark)))


def _process_pss_mib(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _launcher_mib(home: Path) -> float:
    """The launcher keeps nothing of our environment; it is known by the lock that it holds."""
    lock, total = str(home / "nodes" / "bench" / "launcher.lock"), 0.0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if any(os.readlink(fd) == lock for fd in (entry / "fd").iterdir()):
                    total += _process_pss_mib(int(entry.name))
            except OSError:
                continue
    return total


def _row(name: str, values: list[float], unit: str, peer_value: float | None) -> dict[str, Any]:
    value = statistics.median(values)
    return {
        "name": name, "value": round(value, 2), "unit": unit, "peer": PEER,
        "peer_value": round(peer_value, 2) if peer_value else None,
        "ratio": round(value / peer_value, 3) if peer_value else None, "n": len(values),
        "p50": round(value, 2), "p99": round(max(values), 2),
    }  # fmt: skip

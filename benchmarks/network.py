"""How long a pod waits for its network, beside the `ip` commands that do the same by hand. Needs root.

One pod every 10 ms, as pods come in practice; each in a Linux network namespace of its own, on a bridge of our own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from actors.plugins.network.bridge import BridgeNetwork
from actors.plugins.network.config import NetworkConfig
from actors.plugins.network.port import Attachment

_POD_CIDR = "10.191.252.0/24"
_PAUSE_S = 0.01


def measure(quick: bool = False) -> list[dict[str, Any]]:
    """Adding, deleting, and deleting many at once."""
    count = 12 if quick else 50
    with _namespaces(2 * count) as paths:
        ours = asyncio.run(_measure_ours(paths[:count]))
        add, delete = _measure_commands(paths[count:])
    return [
        _row("network-add", ours[0], add),
        _row("network-delete", ours[1], delete),
        _row("network-delete-many", ours[2], delete),
    ]


async def _measure_ours(paths: Sequence[str]) -> tuple[list[float], list[float], list[float]]:
    """Milliseconds of adds, of single deletes, and of each of the deletes that came together."""
    attachments = [Attachment(sandbox_id=f"bench-{os.getpid()}-{i}", netns_path=path) for i, path in enumerate(paths)]
    with tempfile.TemporaryDirectory() as root:
        network = BridgeNetwork(Path(root) / "network", NetworkConfig(bridge=f"rpb{os.getpid()}"))
        try:
            await network.setup(_POD_CIDR)
            adds = [await _timed(network.add, attachment) for attachment in attachments]
            half = len(attachments) // 2
            deletes = [await _timed(network.delete, attachment) for attachment in attachments[:half]]
            began_s = time.perf_counter()
            await asyncio.gather(*(network.delete(attachment) for attachment in attachments[half:]))
            each = (time.perf_counter() - began_s) * 1000 / (len(attachments) - half)
        finally:
            await network.teardown()
            await network.close()
    return adds, deletes, [each] * (len(attachments) - half)


async def _timed(call: Callable[[Attachment], Any], attachment: Attachment) -> float:
    await asyncio.sleep(_PAUSE_S)
    began_s = time.perf_counter()
    await call(attachment)
    return (time.perf_counter() - began_s) * 1000


def _measure_commands(paths: Sequence[str]) -> tuple[list[float], list[float]]:
    """The same by the `ip` command, which knows namespaces by names under /run/netns."""
    bridge = f"rpi{os.getpid()}"
    _ip(f"link add {bridge} type bridge")
    try:
        _ip(f"addr add 10.191.251.1/24 dev {bridge}")
        _ip(f"link set {bridge} up")
        adds = [_timed_commands(_plan_add(bridge, index, path)) for index, path in enumerate(paths)]
        deletes = [_timed_commands([f"link del {bridge}-{index}"]) for index in range(len(paths))]
    finally:
        _ip(f"link del {bridge}")
    return adds, deletes


def _plan_add(bridge: str, index: int, path: str) -> list[str]:
    name, inside = f"{bridge}-{index}", f"-n {Path(path).name}"
    return [
        f"link add {name} type veth peer name eth0 netns {path}",
        f"link set {name} master {bridge}",
        f"link set {name} up",
        f"{inside} link set lo up",
        f"{inside} addr add 10.191.251.{index + 2}/24 dev eth0",
        f"{inside} link set eth0 up",
        f"{inside} route add default via 10.191.251.1",
    ]


def _timed_commands(commands: Sequence[str]) -> float:
    time.sleep(_PAUSE_S)
    began_s = time.perf_counter()
    for command in commands:
        _ip(command)
    return (time.perf_counter() - began_s) * 1000


def _ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True, timeout=30, capture_output=True)


@contextlib.contextmanager
def _namespaces(count: int) -> Iterator[list[str]]:
    names = [f"raypod-bench-{os.getpid()}-{index}" for index in range(count)]
    made: list[str] = []
    try:
        for name in names:
            _ip(f"netns add {name}")
            made.append(name)
        yield [f"/run/netns/{name}" for name in names]
    finally:
        for name in made:
            _ip(f"netns del {name}")


def _row(name: str, ours: Sequence[float], peer: Sequence[float]) -> dict[str, Any]:
    value, peer_value = statistics.median(ours), statistics.median(peer)
    return {
        "name": name,
        "value": round(value, 2),
        "unit": "ms",
        "peer": "ip commands",
        "peer_value": round(peer_value, 2),
        "ratio": round(value / peer_value, 3),
        "n": len(ours),
        "p50": round(value, 2),
        "p99": round(sorted(ours)[min(len(ours) - 1, int(len(ours) * 0.99))], 2),
    }

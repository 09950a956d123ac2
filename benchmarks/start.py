"""Submit to running, on one node with the image there: from the POST of a pod to the event that says it runs.

The whole way: gateway, store (fsync), scheduler, bind, nodelet, sandbox with network, container, status, watch. The
peer's figure is that of a real kubelet with containerd on this kind of machine (2 cores), quoted, not measured here.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from typing import Any

from benchmarks.control_plane import running_control_plane
from raypod.api import ApiClient

PEER, PEER_P50_MS, PEER_P99_MS = "kubelet + containerd, quoted", 613.0, 720.0
_PODS = "/api/v1/namespaces/default/pods"
_PAUSE_SECONDS = 0.05

Seen = dict[str, asyncio.Future[float]]


def measure(quick: bool = False) -> list[dict[str, Any]]:
    """One after the other, then a burst of ten."""
    with running_control_plane() as plane:
        return asyncio.run(_measure(plane.client, 20 if quick else 100))


async def _measure(make_client: Any, turns: int) -> list[dict[str, Any]]:
    client = make_client()
    try:
        seen: Seen = {}
        watching = asyncio.create_task(_watch(client, seen))
        for n in range(3):
            await _start(client, f"warm-{n}", seen)
        single = [await _start(client, f"one-{n}", seen) for n in range(turns)]
        burst = await asyncio.gather(*(_start(client, f"burst-{n}", seen) for n in range(10)))
        watching.cancel()
    finally:
        await client.close()
    return [
        _row("start-p50", statistics.median(single), PEER_P50_MS, single),
        _row("start-p99", _percentile(single, 99), PEER_P99_MS, single),
        {**_row("start-burst-of-10-p50", statistics.median(burst), None, burst), "peer": None},
    ]


async def _start(client: ApiClient, name: str, seen: Seen) -> float:
    """Milliseconds until the watch showed it running; the pod is then removed."""
    container = {"name": "main", "image": "host", "command": ["sleep", "60"]}
    spec = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [container]}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    seen[name] = asyncio.get_running_loop().create_future()
    began = time.monotonic()
    await client.create(_PODS, body)
    ended = await asyncio.wait_for(seen[name], 30)
    await client.delete(f"{_PODS}/{name}", gracePeriodSeconds=0)
    await asyncio.sleep(_PAUSE_SECONDS)
    return 1000 * (ended - began)


async def _watch(client: ApiClient, seen: Seen) -> None:
    """When each pod was first seen running (or past it)."""
    page = await client.get(_PODS)
    revision = page["metadata"]["resourceVersion"]
    async for line in client.lines(_PODS, watch="true", resourceVersion=revision, timeoutSeconds=3000):
        pod = json.loads(line)["object"]
        if pod.get("status", {}).get("phase") in ("Running", "Succeeded"):
            running = seen.get(pod["metadata"]["name"])
            if running is not None and not running.done():
                running.set_result(time.monotonic())


def _percentile(values: list[float], percent: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def _row(name: str, value: float, peer_value: float | None, values: list[float]) -> dict[str, Any]:
    return {
        "name": name, "value": round(value, 1), "unit": "ms", "peer": PEER, "peer_value": peer_value,
        "ratio": round(value / peer_value, 3) if peer_value else None, "n": len(values),
        "p50": round(statistics.median(values), 1), "p99": round(_percentile(values, 99), 1),
    }  # fmt: skip

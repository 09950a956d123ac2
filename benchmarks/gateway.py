"""The gateway of a whole control plane beside kube-apiserver 1.36 with etcd 3.6: writes, lists, fan-out, mixed load.

The peer's figures are quoted, measured on a 2-core machine; ours come over HTTPS on loopback with keep-alive, one
connection a client, all clients in this process.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.control_plane import RunningControlPlane, running_control_plane
from raypod.cluster import AsyncCluster
from raypod.errors import ApiError
from raypod.kubeconfig import Endpoint, read_endpoint, ssl_context

_PEER = "kube-apiserver 1.36 + etcd 3.6 (quoted)"
_PODS = 10_000
_BATCH_ITEMS = 500
_WATCHERS = 1000
_MIXED_CLIENTS = 16
_MAPS = "/api/v1/namespaces/default/configmaps"
_PODS_PATH = "/api/v1/namespaces/default/pods"
_BATCH = "/apis/raypod.io/v1/batch"
_MERGE = "application/merge-patch+json"

Step = Callable[["Client", int], Awaitable[object]]


def measure(quick: bool = False) -> list[dict[str, Any]]:
    """Creates by 1, 10 and 100 clients, single and in batches; gets, patches, lists, fan-out, a mixed load, memory."""
    with running_control_plane() as plane:
        return asyncio.run(_measure(plane, 4 if quick else 1))


async def _measure(plane: RunningControlPlane, divisor: int) -> list[dict[str, Any]]:
    endpoint = read_endpoint(plane.home / "kubeconfig")
    _CPU.update(await _pids(plane))
    rows = [
        await _rate(endpoint, "gateway-create-1-client", _create, 1, 800 // divisor, 451),
        await _rate(endpoint, "gateway-create-10-clients", _create, 10, 3000 // divisor, None),
        await _rate(endpoint, "gateway-create-50-clients", _create, 50, 4000 // divisor, 1161),
        await _rate(endpoint, "gateway-create-100-clients", _create, 100, 4000 // divisor, None),
        await _rate(endpoint, "gateway-get-10-clients", _get, 10, 8000 // divisor, 2081),
        await _rate(endpoint, "gateway-patch-10-clients", _patch, 10, 3000 // divisor, 882),
        await _rate(endpoint, "gateway-batch-create-1-client", _batch, 1, 12 // divisor, None, _BATCH_ITEMS),
        await _rate(endpoint, "gateway-batch-create-10-clients", _batch, 10, 24 // divisor, None, _BATCH_ITEMS),
        *await _pods_rows(plane, endpoint, divisor),
        await _fan_out_row(endpoint, 200, 60 // divisor, (13, 55)),
        await _fan_out_row(endpoint, _WATCHERS, 40 // divisor, None),
        await _mixed_row(endpoint, 300 // divisor**2),
    ]
    return rows


# --- what is measured -----------------------------------------------------------------------------------------------


async def _rate(
    endpoint: Endpoint, name: str, step: Step, clients: int, count: int, peer: float | None, each: int = 1
) -> dict[str, Any]:
    """`each`: how many writes a step makes; times are of whole steps."""
    times: list[float] = []

    async def work(client: Client) -> None:
        for number in range(max(count // clients, 1)):
            began = time.perf_counter()
            await step(client, number)
            times.append((time.perf_counter() - began) * 1000)

    async with _clients(endpoint, clients) as opened:
        began, spent = time.perf_counter(), _cpu_seconds()
        await asyncio.gather(*map(work, opened))
        rate = len(times) * each / (time.perf_counter() - began)
    per_op = {part: round((after - spent[part]) / len(times) / each * 1e6) for part, after in _cpu_seconds().items()}
    return {**_row(name, rate, "1/s", peer, times), "cpu_us": per_op}


def _row(name: str, value: float, unit: str, peer: float | None, times_ms: Sequence[float]) -> dict[str, Any]:
    ordered = sorted(times_ms)
    return {
        "name": name,
        "value": round(value, 2),
        "unit": unit,
        "peer": _PEER if peer else None,
        "peer_value": peer,
        "ratio": round(value / peer, 3) if peer else None,
        "n": len(ordered),
        "p50": round(statistics.median(ordered), 3),
        "p99": round(ordered[int(0.99 * (len(ordered) - 1))], 3),
    }


#: Process ids of the parts whose CPU time is told: on a busy machine it is steadier than the time on the wall.
_CPU: dict[str, list[int]] = {}


async def _pids(plane: RunningControlPlane) -> dict[str, list[int]]:
    async with AsyncCluster(plane.home / "kubeconfig") as cluster:
        actors = (await cluster.status())["actors"]
    parts = {"gateway": "raypod-gateway", "store": "raypod-store"}
    return {part: [a["health"]["pid"] for a in actors if a["name"].startswith(name)] for part, name in parts.items()}


def _cpu_seconds() -> dict[str, float]:
    """Of all threads of each part so far."""
    threads = {part: [t for pid in pids for t in Path(f"/proc/{pid}/task").iterdir()] for part, pids in _CPU.items()}
    return {
        part: sum(int((thread / "schedstat").read_text().split()[0]) for thread in found) / 1e9
        for part, found in threads.items()
    }


def _map(name: str) -> dict[str, Any]:
    """About 1 KB once it is stored."""
    return {"metadata": {"name": name}, "data": {"value": "x" * 700}}


async def _create(client: Client, number: int) -> None:
    await client.ask("POST", _MAPS, _map(client.fresh_name()))


async def _get(client: Client, number: int) -> None:
    await client.ask("GET", f"{_MAPS}/{await client.own()}")


async def _patch(client: Client, number: int) -> None:
    await client.ask("PATCH", f"{_MAPS}/{await client.own()}", {"data": {"n": str(number)}}, _MERGE)


async def _batch(client: Client, number: int) -> None:
    items = [{"method": "POST", "path": _MAPS, "body": _map(client.fresh_name())} for _ in range(_BATCH_ITEMS)]
    told = json.loads(await client.ask("POST", _BATCH, {"returns": "Identity", "items": items}))
    assert all(item["code"] == 201 for item in told["items"])


async def _pods_rows(plane: RunningControlPlane, endpoint: Endpoint, divisor: int) -> list[dict[str, Any]]:
    """Pods that wait at a gate: what is measured is the API, not the scheduler."""
    async with AsyncCluster(plane.home / "kubeconfig") as cluster:
        before = await _store_bytes(cluster)
        began = time.perf_counter()
        made = await cluster.create_many([_pod(f"pod-{n}") for n in range(_PODS)])
        seconds = time.perf_counter() - began
        assert not any(isinstance(one, ApiError) for one in made)
        kept = (await _store_bytes(cluster) - before) / _PODS
    lists = await _rate(endpoint, "", _list_5000, 1, 24 // divisor, None)
    whole = await _rate(endpoint, "", _list_all, 1, 16 // divisor, None)
    return [
        _row("gateway-sdk-create-10000-pods", seconds, "s", None, [seconds * 1000]),
        _row("gateway-list-5000-pods", lists["p50"], "ms", 180, [lists["p50"], lists["p99"]]),
        {**whole, "name": "gateway-list-10000-pods", "value": whole["p50"], "unit": "ms"},
        _row("gateway-store-memory-per-pod", kept / 1024, "KiB", None, [0]),
    ]


def _pod(name: str) -> dict[str, Any]:
    container = {"name": "main", "image": "host", "command": ["sleep", "60"], "env": [{"name": "N", "value": name}]}
    container["resources"] = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}}
    spec = {"containers": [container], "schedulingGates": [{"name": "example.com/bench"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "bench"}}, "spec": spec}


async def _list_5000(client: Client, number: int) -> None:
    assert (await client.ask("GET", f"{_PODS_PATH}?limit=5000")).count(b'"schedulingGates"') >= 5000


async def _list_all(client: Client, number: int) -> None:
    assert (await client.ask("GET", _PODS_PATH)).count(b'"schedulingGates"') >= _PODS


async def _store_bytes(cluster: AsyncCluster) -> int:
    """Resident memory of the store actor."""
    [store] = [actor for actor in (await cluster.status())["actors"] if actor["name"] == "raypod-store"]
    return int(Path(f"/proc/{store['health']['pid']}/statm").read_text().split()[1]) * 4096


async def _fan_out_row(
    endpoint: Endpoint, watchers: int, count: int, peer: tuple[float, float] | None
) -> dict[str, Any]:
    """Milliseconds from the start of a write until a watcher has its event, over all watchers and writes."""
    times: list[float] = []
    name, began = f"told-{watchers}", [0.0]
    told = asyncio.Semaphore(0)

    async def watch(client: Client) -> None:
        query = f"watch=true&fieldSelector=metadata.name={name}&resourceVersion={revision}"
        async for _ in client.lines(f"{_MAPS}?{query}"):
            times.append((time.perf_counter() - began[0]) * 1000)
            told.release()

    async with _clients(endpoint, watchers + 1) as (writer, *opened):
        revision = json.loads(await writer.ask("POST", _MAPS, _map(name)))["metadata"]["resourceVersion"]
        tasks = [asyncio.create_task(watch(client)) for client in opened]
        await asyncio.sleep(3)
        for number in range(count):
            began[0] = time.perf_counter()
            await writer.ask("PATCH", f"{_MAPS}/{name}", {"data": {"n": str(number)}}, _MERGE)
            async with asyncio.timeout(30):
                for _ in opened:
                    await told.acquire()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    row = _row(f"gateway-event-to-{watchers}-watchers", statistics.median(times), "ms", None, times)
    return (
        row if peer is None else {**row, "peer": _PEER, "peer_value": peer[0], "ratio": round(row["p50"] / peer[0], 3)}
    )


async def _mixed_row(endpoint: Endpoint, seconds: float) -> dict[str, Any]:
    """Clients that create, read, patch, list 100 and delete, in turn and at their own pace, for a while."""
    times: list[float] = []
    deadline = time.perf_counter() + seconds

    async def work(client: Client) -> None:
        draw = random.Random(client.name)
        while time.perf_counter() < deadline:
            name = client.fresh_name()
            steps = [
                ("POST", _MAPS, _map(name), ""),
                ("GET", f"{_MAPS}/{name}", None, ""),
                ("PATCH", f"{_MAPS}/{name}", {"data": {"n": "1"}}, _MERGE),
                ("GET", f"{_PODS_PATH}?limit=100", None, ""),
                ("DELETE", f"{_MAPS}/{name}", None, ""),
            ]
            for method, path, body, media in steps:
                began = time.perf_counter()
                await client.ask(method, path, body, media)
                times.append((time.perf_counter() - began) * 1000)
                await asyncio.sleep(draw.uniform(0, 0.1))

    async with _clients(endpoint, _MIXED_CLIENTS) as opened:
        await asyncio.gather(*map(work, opened))
    return _row(f"gateway-mixed-load-{seconds:.0f}-s", len(times) / seconds, "1/s", None, times)


# --- clients ----------------------------------------------------------------------------------------------------------


class Client:
    """One HTTPS connection. As little as HTTP/1.1 needs, so that the clients leave the machine to the server."""

    _count = 0

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        Client._count += 1
        self.name = f"c{Client._count}"
        self._reader, self._writer, self._names, self._own = reader, writer, 0, ""

    def fresh_name(self) -> str:
        self._names += 1
        return f"{self.name}-{self._names}"

    async def own(self) -> str:
        """An object of this client's, made at the first call."""
        if not self._own:
            self._own = self.fresh_name()
            await self.ask("POST", _MAPS, _map(self._own))
        return self._own

    async def ask(self, method: str, path: str, body: Any = None, media: str = "application/json") -> bytes:
        """The body of the answer, which must be a success."""
        code, headers = await self._head(method, path, body, media)
        if b"content-length" in headers:
            text = await self._reader.readexactly(int(headers[b"content-length"]))
        else:
            text = b"".join([chunk async for chunk in self._chunks()])
        assert code < 300, text[:500]
        return text

    async def lines(self, path: str) -> AsyncIterator[bytes]:
        await self._head("GET", path, None, "")
        async for chunk in self._chunks():
            for line in chunk.splitlines():
                yield line

    async def _head(self, method: str, path: str, body: Any, media: str) -> tuple[int, dict[bytes, bytes]]:
        data = json.dumps(body).encode() if body is not None else b""
        typed = f"Content-Type: {media}\r\nContent-Length: {len(data)}\r\n" if data else ""
        self._writer.write(f"{method} {path} HTTP/1.1\r\nHost: bench\r\n{typed}\r\n".encode() + data)
        head = (await self._reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        pairs = (line.split(b": ", 1) for line in head[1:] if line)
        return int(head[0].split()[1]), {name.lower(): value for name, value in pairs}

    async def _chunks(self) -> AsyncIterator[bytes]:
        while size := int(await self._reader.readline(), 16):
            yield (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readline()

    def close(self) -> None:
        self._writer.transport.abort()


@asynccontextmanager
async def _clients(endpoint: Endpoint, count: int) -> AsyncIterator[list[Client]]:
    host, port = endpoint.server.removeprefix("https://").rsplit(":", 1)
    context, opened = ssl_context(endpoint), []
    for _ in range(count):
        opened.append(Client(*await asyncio.open_connection(host, int(port), ssl=context, limit=1 << 20)))
    try:
        yield opened
    finally:
        for client in opened:
            client.close()

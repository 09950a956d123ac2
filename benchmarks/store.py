"""The API store beside etcd 3.4 in the same run, on the same disk: durable commits, gets, lists, watch fan-out.

Both run in a process of their own and are spoken to over loopback HTTP with keep-alive, etcd by its JSON gateway. The
store does admission (defaults, validation, metadata) for every write; etcd keeps the same bytes as they come.
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from actors.api.codec import Object
from actors.api.errors import Unavailable
from actors.api.key import Key
from actors.reconcile.actions import Create, Patch
from actors.reconcile.watch import Selection
from actors.store.actor import StoreActor
from actors.store.client import StoreClient
from actors.store.config import StoreConfig
from actors.store.fanout import WatchFanout

_PEER = "etcd 3.4 (JSON gateway)"
_LISTED_PODS = 5000
_AT_ONCE = 64
_WATCHERS = 100
_START_SECONDS = 20.0
_PODS = Selection(("pods",), "default")

Write = Callable[[int], Awaitable[object]]


def measure(quick: bool = False) -> list[dict[str, Any]]:
    """Commits one at a time and many at once, gets, lists of 5,000 pods, and changes told to 100 watchers."""
    return asyncio.run(_measure(4 if quick else 1))


async def _measure(divisor: int) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as directory:
        async with _running(_store_command(directory)) as store_url, _running(_etcd_command(directory)) as etcd_url:
            async with _session() as session:
                store, etcd = _Store(store_url, session), _Etcd(etcd_url, session)
                return [
                    await _rate("store-commit-single", store.write, etcd.write, 400 // divisor, 1),
                    await _rate("store-commit-batched", store.write, etcd.write, 4000 // divisor, _AT_ONCE),
                    await _rate("store-get", store.get, etcd.get, 2000 // divisor, 1),
                    await _list_row(store, etcd, 20 // divisor),
                    await _watch_row(store, etcd, 100 // divisor),
                ]


# --- what is measured ---------------------------------------------------------------------------------------------


async def _rate(name: str, ours: Write, peers: Write, count: int, at_once: int) -> dict[str, Any]:
    our_rate, our_ms = await _drive(ours, count, at_once)
    peer_rate, _ = await _drive(peers, count, at_once)
    return _row(name, our_rate, "1/s", peer_rate, our_ms)


async def _drive(call: Write, count: int, at_once: int) -> tuple[float, list[float]]:
    """Calls a second, and the milliseconds of each."""
    times: list[float] = []

    async def work(first: int) -> None:
        for number in range(first, count, at_once):
            began = time.perf_counter()
            await call(number)
            times.append((time.perf_counter() - began) * 1000)

    began = time.perf_counter()
    await asyncio.gather(*(work(first) for first in range(at_once)))
    return count / (time.perf_counter() - began), times


async def _list_row(store: _Store, etcd: _Etcd, count: int) -> dict[str, Any]:
    await store.fill(_LISTED_PODS)
    await etcd.fill(_LISTED_PODS)
    _, ours = await _drive(store.list, count, 1)
    _, peers = await _drive(etcd.list, count, 1)
    return _row("store-list-5000-pods", statistics.median(ours), "ms", statistics.median(peers), ours)


async def _watch_row(store: _Store, etcd: _Etcd, count: int) -> dict[str, Any]:
    """Milliseconds from the start of a commit until the last of the watchers has its event. Ours share one long poll
    of their process; etcd's have a stream each."""
    ours = await _told_times(store.watch, store.touch, count)
    peers = await _told_times(etcd.watch, etcd.touch, count)
    name = f"store-watch-{_WATCHERS}-watchers"
    return _row(name, statistics.median(ours), "ms", statistics.median(peers), ours)


async def _told_times(watch: Callable[[Callable[[], None]], Awaitable[None]], touch: Write, count: int) -> list[float]:
    told = asyncio.Semaphore(0)
    watchers = [asyncio.ensure_future(watch(told.release)) for _ in range(_WATCHERS)]
    await asyncio.sleep(1)
    times = []
    for number in range(count):
        began = time.perf_counter()
        await touch(number)
        for _ in range(_WATCHERS):
            await asyncio.wait_for(told.acquire(), 10)
        times.append((time.perf_counter() - began) * 1000)
    for watcher in watchers:
        watcher.cancel()
    await asyncio.gather(*watchers, return_exceptions=True)
    return times


def _row(name: str, value: float, unit: str, peer_value: float, times_ms: Sequence[float]) -> dict[str, Any]:
    ordered = sorted(times_ms)
    return {
        "name": name,
        "value": round(value, 2),
        "unit": unit,
        "peer": _PEER,
        "peer_value": round(peer_value, 2),
        "ratio": round(value / peer_value, 3),
        "n": len(ordered),
        "p50": round(statistics.median(ordered), 3),
        "p99": round(ordered[int(0.99 * (len(ordered) - 1))], 3),
    }


# --- the store ------------------------------------------------------------------------------------------------------


def new_pod(name: str) -> Object:
    """About 3 KB once it is stored, as a training pod is."""
    env = [{"name": f"SETTING_{n}", "value": "x" * 40} for n in range(16)]
    resources = {"requests": {"cpu": "2", "memory": "4Gi"}, "limits": {"cpu": "4", "memory": "8Gi"}}
    container = {"name": "main", "image": "registry.example/train:1", "env": env, "resources": resources}
    return {"metadata": {"name": name, "labels": {"app": "bench"}}, "spec": {"containers": [container]}}


class _HttpCall:
    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url, self._session = url, session

    async def __call__(self, method: str, blob: bytes, timeout_ms: int) -> bytes:
        try:
            async with self._session.post(f"{self._url}/{method}", data=blob) as response:
                return await response.read()
        except aiohttp.ClientError as error:
            raise Unavailable(str(error)) from error


class _Store:
    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._client = StoreClient(_HttpCall(url, session))
        self._fanout = WatchFanout(self._client)
        self._count = 0

    async def write(self, number: int) -> None:
        self._count += 1
        pod = new_pod(f"pod-{self._count}")
        [reply] = await self._client.commit([Create(resource="pods", namespace="default", object=pod)])
        assert reply.error is None, reply.error

    async def get(self, number: int) -> object:
        return await self._client.get(Key("pods", "default", f"pod-{number % self._count + 1}"))

    async def fill(self, count: int) -> None:
        while self._count < count:
            await asyncio.gather(*(self.write(0) for _ in range(min(500, count - self._count))))

    async def list(self, number: int) -> None:
        page = await self._client.list(_PODS, limit=_LISTED_PODS)
        assert len(page.items) == _LISTED_PODS

    async def touch(self, number: int) -> None:
        patch = {"metadata": {"annotations": {"touched": str(number)}}}
        await self._client.commit([Patch(key=Key("pods", "default", "pod-1"), patch=patch)])

    async def watch(self, tell: Callable[[], None]) -> None:
        """One of many in this process: they share a long poll, as the gateway's do."""
        revision = (await self._client.list(_PODS, limit=1)).revision
        async for batch in self._fanout.subscribe(_PODS, revision):
            for _ in batch.events:
                tell()


def _store_command(directory: str) -> tuple[list[str], int]:
    port = _free_port()
    command = [sys.executable, "-m", "benchmarks.store", str(Path(directory) / "store" / "log.db"), str(port)]
    return command, port


def serve(path: str, port: int) -> None:
    """The actor behind HTTP, until killed."""
    actor = StoreActor(StoreConfig(), path)

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=await getattr(actor, request.match_info["method"])(await request.read()))

    async def healthy(request: web.Request) -> web.Response:
        return web.json_response(await actor.health())

    app = web.Application(client_max_size=64 << 20)
    app.add_routes([web.get("/health", healthy), web.post("/{method:commit|get|list|watch}", answer)])
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


# --- etcd -----------------------------------------------------------------------------------------------------------


class _Etcd:
    """Keys and values are those of the store: `/registry/pods/default/<name>` and the same JSON."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url, self._session = url, session
        self._count = 0

    async def write(self, number: int) -> None:
        self._count += 1
        await self._put(f"pod-{self._count}", new_pod(f"pod-{self._count}"))

    async def touch(self, number: int) -> None:
        await self._put("pod-1", {**new_pod("pod-1"), "touched": number})

    async def get(self, number: int) -> None:
        answer = await self._post("range", {"key": _name(f"pod-{number % self._count + 1}")})
        assert answer["count"] == "1"

    async def fill(self, count: int) -> None:
        while self._count < count:
            await asyncio.gather(*(self.write(0) for _ in range(min(200, count - self._count))))

    async def list(self, number: int) -> None:
        answer = await self._post("range", {"key": _name(""), "range_end": _end(), "limit": _LISTED_PODS})
        assert len([base64.b64decode(kv["value"]) for kv in answer["kvs"]]) == _LISTED_PODS

    async def watch(self, tell: Callable[[], None]) -> None:
        question = {"create_request": {"key": _name(""), "range_end": _end()}}
        async with self._session.post(f"{self._url}/v3/watch", json=question) as response:
            async for line in response.content:
                for _ in json.loads(line)["result"].get("events", ()):
                    tell()

    async def _put(self, name: str, obj: Object) -> None:
        value = base64.b64encode(_stored_json(obj)).decode()
        await self._post("put", {"key": _name(name), "value": value})

    async def _post(self, verb: str, question: dict[str, Any]) -> Any:
        async with self._session.post(f"{self._url}/v3/kv/{verb}", json=question) as response:
            response.raise_for_status()
            return await response.json()


def _name(name: str) -> str:
    return base64.b64encode(f"/registry/pods/default/{name}".encode()).decode()


def _end() -> str:
    """The end of the range of all pods: the prefix with its last byte one higher."""
    return base64.b64encode(b"/registry/pods/default0").decode()


def _stored_json(obj: Object) -> bytes:
    """As long as what the store keeps: defaults, identity and status are about 900 bytes."""
    return json.dumps({**obj, "status": {"phase": "Pending", "padding": "x" * 900}}, separators=(",", ":")).encode()


def _etcd_command(directory: str) -> tuple[list[str], int]:
    port, peer_port = _free_port(), _free_port()
    client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer_port}"
    listening = ["--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer]
    cluster = ["--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}"]
    storage = ["--data-dir", str(Path(directory) / "etcd"), "--log-level", "error", "--quota-backend-bytes", "0"]
    return ["etcd", *listening, *cluster, *storage], port


# --- processes ------------------------------------------------------------------------------------------------------


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), read_bufsize=1 << 20, timeout=aiohttp.ClientTimeout(total=120)
    )


@asynccontextmanager
async def _running(command_and_port: tuple[list[str], int]) -> AsyncIterator[str]:
    command, port = command_and_port
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = await asyncio.create_subprocess_exec(*command, **quiet)
    url = f"http://127.0.0.1:{port}"
    try:
        await _wait_healthy(url, process)
        yield url
    finally:
        process.kill()
        await process.wait()


async def _wait_healthy(url: str, process: asyncio.subprocess.Process) -> None:
    deadline = time.monotonic() + _START_SECONDS
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"{url}/health") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            if process.returncode is not None or time.monotonic() > deadline:
                raise RuntimeError(f"what should listen at {url} did not start")
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]))

"""Processes for the durability test: the store actor on a Unix socket, writers and watchers that talk to it.

Frames on the socket are a length and msgpack: (id, method, blob) one way, (id, blob) the other.
"""

from __future__ import annotations

import asyncio
import json
import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from actors.api.codec import Object
from actors.api.errors import Unavailable
from actors.api.key import Key
from actors.reconcile.actions import Create, Patch, PatchType, Reply, StoreWrite
from actors.reconcile.watch import Selection
from actors.store.actor import StoreActor
from actors.store.client import StoreClient
from actors.store.config import StoreConfig

_LENGTH = struct.Struct(">I")
_APPENDS_PER_OBJECT = 40
_WRITES_AT_ONCE = 4
WRITE_PAUSE_SECONDS = 0.01


# --- the store ----------------------------------------------------------------------------------------------------


def serve(path: str, socket: str) -> None:
    """Until killed."""
    asyncio.run(_serve(path, socket))


async def _serve(path: str, socket: str) -> None:
    config = StoreConfig(retention_minutes=1, housekeeping_seconds=0.05, watch_events_max=50)
    actor = StoreActor(config, path)
    tidying = asyncio.create_task(actor.run())
    with suppress(FileNotFoundError):
        os.unlink(socket)
    server = await asyncio.start_unix_server(lambda reader, writer: _serve_client(actor, reader, writer), socket)
    async with server:
        await tidying


async def _serve_client(actor: StoreActor, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    tasks: set[asyncio.Task[None]] = set()
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            number, method, blob = await _read_frame(reader)
            task = asyncio.create_task(_answer(actor, writer, number, method, blob))
            tasks.add(task)
            task.add_done_callback(tasks.discard)


async def _answer(actor: StoreActor, writer: asyncio.StreamWriter, number: int, method: str, blob: bytes) -> None:
    answer = await getattr(actor, method)(blob)
    _write_frame(writer, (number, answer))


async def _read_frame(reader: asyncio.StreamReader) -> Any:
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    return msgspec.msgpack.decode(await reader.readexactly(length))


def _write_frame(writer: asyncio.StreamWriter, frame: Any) -> None:
    packed = msgspec.msgpack.encode(frame)
    writer.write(_LENGTH.pack(len(packed)) + packed)


# --- the transport ------------------------------------------------------------------------------------------------


class SocketCall:
    """What Ray's actor handle is elsewhere: fails with Unavailable when the store dies under a call."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self._writer: asyncio.StreamWriter | None = None
        self._pending: dict[int, asyncio.Future[bytes]] = {}
        self._count = 0
        self._reading: asyncio.Task[None] | None = None
        self._connecting = asyncio.Lock()

    async def __call__(self, method: str, blob: bytes, timeout_ms: int) -> bytes:
        async with self._connecting:
            if self._writer is None:
                await self._connect()
        self._count += 1
        number, answer = self._count, asyncio.get_running_loop().create_future()
        self._pending[number] = answer
        assert self._writer is not None
        _write_frame(self._writer, (number, method, blob))
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                result: bytes = await answer
                return result
        finally:
            self._pending.pop(number, None)

    async def _connect(self) -> None:
        reader, self._writer = await asyncio.open_unix_connection(self._socket)
        self._reading = asyncio.create_task(self._read(reader))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                number, blob = await _read_frame(reader)
                if number in self._pending and not self._pending[number].done():
                    self._pending[number].set_result(blob)
        if self._writer is not None:
            self._writer.close()
        self._writer = None
        for answer in self._pending.values():
            if not answer.done():
                answer.set_exception(Unavailable("the store died"))


# --- writers ------------------------------------------------------------------------------------------------------


def write(socket: str, name: str, told: str, stop: str) -> None:
    """Write until the file `stop` is there; what was acknowledged goes to `told`, a line each."""
    asyncio.run(_write(socket, name, Path(told), Path(stop)))


async def _write(socket: str, name: str, told: Path, stop: Path) -> None:
    client = StoreClient(SocketCall(socket), deadline_seconds=120)
    with told.open("w") as log:
        await asyncio.gather(*(_write_on(client, f"{name}-{n}", log, stop) for n in range(_WRITES_AT_ONCE)))


async def _write_on(client: StoreClient, name: str, log: Any, stop: Path) -> None:
    """Creates that would make a second object if carried out twice, appends that would show twice."""
    count = 0
    while not stop.exists():
        block = f"{name}-{count}"
        await _told(client, log, block, "create", [_new_deployment(block), _new_map(block)])
        for n in range(_APPENDS_PER_OBJECT):
            await _told(client, log, f"{block}-{n}", "append", [_append(block, f"{block}-{n}")])
            await asyncio.sleep(WRITE_PAUSE_SECONDS)
            if stop.exists():
                break
        count += 1


async def _told(client: StoreClient, log: Any, op: str, kind: str, writes: list[StoreWrite]) -> None:
    replies: list[Reply] = await client.commit(writes)
    assert all(reply.error is None for reply in replies), replies
    revisions = [reply.stored.revision for reply in replies if reply.stored]
    log.write(json.dumps({"op": op, "kind": kind, "revisions": revisions}) + "\n")
    log.flush()


def _new_deployment(name: str) -> Create:
    labels = {"app": name}
    container = {"name": "c", "image": "host", "args": ["first"]}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    obj: Object = {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": labels}, "template": template}}
    return Create(resource="deployments.apps", namespace="default", object=obj)


def _new_map(op: str) -> Create:
    obj: Object = {"metadata": {"generateName": "g-", "labels": {"op": op}}}
    return Create(resource="configmaps", namespace="default", object=obj)


def _append(name: str, op: str) -> Patch:
    at = "/spec/template/spec/containers/0/args/-"
    key = Key("deployments.apps", "default", name)
    return Patch(key=key, patch=[{"op": "add", "path": at, "value": op}], type=PatchType.JSON)


# --- watchers -----------------------------------------------------------------------------------------------------


def watch(socket: str, resource: str, told: str, stop: str) -> None:
    """Follow a resource ("": all) until nothing comes after `stop`; every event goes to `told`, a line each."""
    asyncio.run(_watch(socket, Selection((resource,) if resource else ()), Path(told), Path(stop)))


async def _watch(socket: str, selection: Selection, told: Path, stop: Path) -> None:
    client = StoreClient(SocketCall(socket), deadline_seconds=120)
    page = await client.list(selection)
    revision = page.revision
    with told.open("w") as log:
        log.write(json.dumps({"list": {str(s.key): s.revision for s in page.items}, "revision": revision}) + "\n")
        while True:
            ending = stop.exists()
            batch = await client.watch(selection, revision, 300)
            for event in batch.events:
                stored = event.stored
                log.write(json.dumps({"type": event.type, "key": str(stored.key), "revision": stored.revision}) + "\n")
            revision = batch.revision
            log.flush()
            if ending and not batch.events:
                log.write(json.dumps({"end": revision}) + "\n")
                return

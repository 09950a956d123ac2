"""Group commit: one write for all that wait, nothing acknowledged or shown before it is durable, failures survived."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
from store_support import new_engine

from actors.api.errors import NotFound, Unavailable
from actors.api.key import Key
from actors.reconcile.actions import Create
from actors.reconcile.watch import Selection
from actors.store.backend.memory import MemoryBackend
from actors.store.backend.port import BackendError
from actors.store.engine import Engine
from actors.store.ids import SeededIds
from actors.store.local import read_clock
from actors.store.record import Batch
from actors.store.server import StoreServer

MAPS = Selection(("configmaps",))


class SlowDisk(MemoryBackend):
    """Waits for the test before each write; counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()
        self.batches: list[Batch] = []

    def append(self, batch: Batch) -> None:
        assert self.gate.wait(10)
        self.batches.append(batch)
        super().append(batch)


@pytest.fixture
def disk() -> SlowDisk:
    return SlowDisk()


@pytest.fixture
async def server(disk: SlowDisk) -> AsyncIterator[StoreServer]:
    new_engine(backend=disk)
    disk.batches.clear()
    server = StoreServer(Engine(disk, SeededIds(2)), read_clock)
    yield server
    disk.gate.set()
    await server.close()


def new_map(name: str) -> Create:
    return Create(resource="configmaps", namespace="default", object={"metadata": {"name": name}})


async def test_what_waits_shares_one_write(server: StoreServer, disk: SlowDisk) -> None:
    disk.gate.clear()
    first = asyncio.create_task(server.commit([new_map("first")]))
    await asyncio.sleep(0.01)
    rest = [asyncio.create_task(server.commit([new_map(f"m{n}")])) for n in range(50)]
    await asyncio.sleep(0.01)
    disk.gate.set()
    replies = await asyncio.gather(first, *rest)
    assert all(reply[0].error is None for reply in replies)
    assert [len(batch.records) for batch in disk.batches] == [1, 50]


async def test_nothing_is_told_before_it_is_durable(server: StoreServer, disk: SlowDisk) -> None:
    since = server.engine.revision
    disk.gate.clear()
    commit = asyncio.create_task(server.commit([new_map("a")]))
    watch = asyncio.create_task(server.watch(MAPS, since, 5000))
    await asyncio.sleep(0.05)
    assert not commit.done() and not watch.done()
    with pytest.raises(NotFound):
        await server.get(Key("configmaps", "default", "a"))
    disk.gate.set()
    [reply] = await commit
    assert [event.stored for event in (await watch).events] == [reply.stored]


async def test_a_full_disk_is_told_and_survived(server: StoreServer, disk: SlowDisk) -> None:
    before = server.engine.revision
    disk.failing = True
    with pytest.raises(Unavailable, match="does not take writes"):
        await server.commit([new_map("a")], "key")
    assert server.engine.revision == before
    disk.failing = False
    [reply] = await server.commit([new_map("a")], "key")
    assert reply.error is None and reply.stored is not None and reply.stored.revision == before + 1


async def test_a_write_of_which_nobody_knows_is_found_by_its_key(disk: SlowDisk) -> None:
    class Liar(SlowDisk):
        def append(self, batch: Batch) -> None:
            super().append(batch)
            raise BackendError("the answer was lost")

    liar = Liar()
    liar.disk = new_engine(backend=MemoryBackend()).backend.disk  # type: ignore[attr-defined]
    server = StoreServer(Engine(liar, SeededIds(2)), read_clock)
    since = server.engine.revision
    with pytest.raises(Unavailable):
        await server.commit([new_map("a")], "key")
    [reply] = await server.commit([new_map("a")], "key")
    assert reply.error is None
    batch = await server.watch(MAPS, since, 1000)
    assert [event.stored for event in batch.events] == [reply.stored]
    await server.close()


async def test_a_commit_that_changes_nothing_is_not_written(server: StoreServer, disk: SlowDisk) -> None:
    [reply] = await server.commit([Create(resource="configmaps", namespace="nowhere", object={"metadata": {}})])
    assert reply.error is not None
    assert disk.batches == []


async def test_a_closed_store_refuses_and_lets_its_watchers_go(server: StoreServer) -> None:
    watch = asyncio.create_task(server.watch(MAPS, server.engine.revision, 60_000))
    await asyncio.sleep(0.01)
    await server.close()
    assert (await asyncio.wait_for(watch, 5)).events == ()
    with pytest.raises(Unavailable):
        await server.commit([new_map("a")])


async def test_expired_events_go(disk: SlowDisk) -> None:
    engine = new_engine(backend=disk)
    event = {"metadata": {"name": "e"}, "involvedObject": {"kind": "Pod"}, "reason": "Old", "message": "m"}
    engine.commit([Create(resource="events", namespace="default", object=event)], 1_000)
    fresh = {**event, "metadata": {"name": "f"}, "lastTimestamp": "2999-01-01T00:00:00Z"}
    engine.commit([Create(resource="events", namespace="default", object=fresh)], 1_000)
    server = StoreServer(engine, read_clock)
    await server.tidy()
    assert [stored.key.name for stored in (await server.list(Selection(("events",)))).items] == ["f"]
    await server.close()

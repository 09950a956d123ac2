"""The shell loop: what a core sees, in which order, and what becomes of its errors and of the store's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from actors.api.clock import Millis
from actors.api.errors import Expired, Unavailable
from actors.api.key import Key, Stored
from actors.reconcile.actions import Create, Patch, Reply, StoreWrite
from actors.reconcile.watch import Selection, WatchBatch
from actors.store import loop
from actors.store.local import LocalStore, read_clock
from actors.store.loop import list_all, run_core
from actors.store.port import Page


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_BACKOFF_SECONDS_MIN", 0.01)


class Labeller:
    """Wants every ConfigMap labelled `seen: yes`; keeps a story of its calls."""

    def __init__(self) -> None:
        self.story: list[str] = []
        self.unseen: dict[Key, Stored] = {}
        self.known: dict[Key, Stored] = {}
        self.failing = 0
        self.wake: Millis | None = None

    def selection(self) -> Selection:
        return Selection(("configmaps",))

    def relist(self, items: Sequence[Stored], revision: int, now: Millis) -> None:
        self.story.append(f"relist {len(items)}")
        self.known, self.unseen = {}, {}
        self._see(items)

    def observe(self, batch: WatchBatch, now: Millis) -> None:
        self.story += [f"observe {event.type} {event.stored.key.name}" for event in batch.events]
        self._see([event.stored for event in batch.events])

    def _see(self, items: Sequence[Stored]) -> None:
        for stored in items:
            if stored.revision > (self.known[stored.key].revision if stored.key in self.known else 0):
                self.known[stored.key] = stored
                if b'"seen"' not in stored.body:
                    self.unseen[stored.key] = stored

    def decide(self, now: Millis) -> Sequence[StoreWrite]:
        if self.failing:
            self.failing -= 1
            raise RuntimeError("a bug")
        if self.wake is not None and now >= self.wake:
            self.story.append("woken")
            self.wake = None
        return [Patch(key=key, patch={"metadata": {"labels": {"seen": "yes"}}}) for key in self.unseen]

    def replied(self, writes: Sequence[StoreWrite], replies: Sequence[Reply], now: Millis) -> None:
        assert len(writes) == len(replies)
        self.story.append(f"replied {len(replies)}")
        for reply in replies:
            if reply.stored is not None:
                self.unseen.pop(reply.stored.key, None)
                self.known[reply.stored.key] = reply.stored

    def wake_at(self) -> Millis | None:
        return self.wake


class Troubled:
    """A store with errors put in front of it, one a call of that name."""

    def __init__(self, store: LocalStore) -> None:
        self.store = store
        self.troubles: dict[str, list[Exception]] = {}

    def _meet(self, name: str) -> None:
        if self.troubles.get(name):
            raise self.troubles[name].pop(0)

    async def commit(self, writes: Sequence[StoreWrite], idempotency_key: str = "") -> list[Reply]:
        self._meet("commit")
        return await self.store.commit(writes, idempotency_key)

    async def get(self, key: Key, revision: int = 0) -> Stored:
        return await self.store.get(key, revision)

    async def watch(self, selection: Selection, since: int, timeout_ms: int = 30_000) -> WatchBatch:
        self._meet("watch")
        return await self.store.watch(selection, since, timeout_ms)

    async def list(self, selection: Selection, *, limit: int = 0, cursor: str = "", revision: int = 0) -> Page:
        self._meet("list")
        return await self.store.list(selection, limit=limit, cursor=cursor, revision=revision)


def new_map(name: str) -> Create:
    return Create(resource="configmaps", namespace="default", object={"metadata": {"name": name}})


@asynccontextmanager
async def driven(core: Any, store: Any) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(run_core(core, store, read_clock, stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, 5)


async def until_all_seen(store: LocalStore, count: int) -> None:
    seen = Selection(("configmaps",), labels="seen=yes")
    async with asyncio.timeout(5):
        page = await store.list(seen)
        while len(page.items) < count:
            await store.watch(seen, page.revision, 1000)
            page = await store.list(seen)


async def test_it_lists_then_watches_then_decides() -> None:
    store, core = LocalStore(), Labeller()
    await store.commit([new_map("a")])
    async with driven(core, store):
        await until_all_seen(store, 1)
        await store.commit([new_map("b")])
        await until_all_seen(store, 2)
    assert core.story[:2] == ["relist 1", "replied 1"]
    assert "observe ADDED b" in core.story


@pytest.mark.parametrize(
    ("where", "trouble"),
    [
        ("list", Unavailable("restarting")),
        ("watch", Unavailable("restarting")),
        ("watch", Expired("too old")),
        ("commit", Unavailable("restarting")),
        ("commit", ConnectionResetError()),
        ("watch", RuntimeError("a bug")),
    ],
)
async def test_trouble_with_the_store_ends_in_a_relist(where: str, trouble: Exception) -> None:
    store, core = LocalStore(), Labeller()
    troubled = Troubled(store)
    troubled.troubles[where] = [trouble]
    await store.commit([new_map("a")])
    async with driven(core, troubled):
        await until_all_seen(store, 1)
        await store.commit([new_map("b")])
        await until_all_seen(store, 2)
    assert core.story.count("relist 1") + core.story.count("relist 2") == (1 if where == "list" else 2)


async def test_a_cores_own_error_is_survived() -> None:
    store, core = LocalStore(), Labeller()
    core.failing = 3
    await store.commit([new_map("a")])
    async with driven(core, store):
        await until_all_seen(store, 1)
    assert core.story[:4] == ["relist 1"] * 4


async def test_it_wakes_the_core_at_its_time() -> None:
    store, core = LocalStore(), Labeller()
    core.wake = read_clock() + 50
    async with driven(core, store):
        await asyncio.sleep(0.02)
        assert "woken" not in core.story
        await asyncio.sleep(0.1)
    assert core.story.count("woken") == 1


async def test_refused_writes_do_not_make_it_spin() -> None:
    class Stubborn(Labeller):
        def decide(self, now: Millis) -> Sequence[StoreWrite]:
            return [Patch(key=Key("configmaps", "default", "none"), patch={})]

    core = Stubborn()
    async with driven(core, LocalStore()):
        await asyncio.sleep(0.1)
    assert 1 < core.story.count("replied 1") < 20


async def test_a_long_list_is_read_in_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_PAGE_ITEMS", 3)
    store = LocalStore()
    await store.commit([new_map(f"m{n}") for n in range(10)])
    items, revision = await list_all(store, Selection(("configmaps",)))
    assert [stored.key.name for stored in items] == [f"m{n}" for n in range(10)] and revision == store.revision

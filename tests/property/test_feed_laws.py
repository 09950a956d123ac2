"""Who follows a store by its feed ends up with what the store holds: for random histories, and lines that break, lag
and are compacted away."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from test_replica_laws import STEPS, Line, Store, write_of

from actors.api.errors import ApiError, Expired, Unavailable
from actors.api.key import Key, Stored
from actors.reconcile.watch import EventType, Selection
from actors.store.feed import Feed


class Watcher:
    """What a core does: a list, then the events from there on; a list again when history is lost."""

    def __init__(self, store: Store, feed: Feed) -> None:
        self.store, self.feed = store, feed
        self.held: dict[Key, Stored] = {}
        self.revision = -1
        self.lists = 0

    async def run(self) -> None:
        while True:
            try:
                await self._follow()
            except (Expired, Unavailable):
                await asyncio.sleep(0)

    async def _follow(self) -> None:
        page = await self.feed.list(Selection())
        self.held = {stored.key: stored for stored in page.items}
        self.revision = page.revision
        self.lists += 1
        while True:
            batch = await self.feed.watch(Selection(), self.revision, 5)
            for event in batch.events:
                assert event.stored.revision > self.revision, "in order, and each once"
                self.revision = event.stored.revision
                assert (event.type is EventType.ADDED) == (event.stored.key not in self.held), event
                if event.type is EventType.DELETED:
                    del self.held[event.stored.key]
                else:
                    self.held[event.stored.key] = event.stored
            assert batch.revision >= self.revision
            self.revision = batch.revision
            await asyncio.sleep(0)


async def _settle(watcher: Watcher, line: Line) -> None:
    for _ in range(400):
        line.deliver()
        if watcher.revision == watcher.store.revision:
            return
        await asyncio.sleep(0.001)
    raise AssertionError(f"the watcher is at {watcher.revision}, the store at {watcher.store.revision}")


@settings(max_examples=60)
@given(steps=st.lists(STEPS, max_size=30))
async def test_a_watcher_of_a_feed_holds_what_the_store_holds(steps: list[tuple[str, str, int]]) -> None:
    now = [1_000_000]
    store = Store(now)
    line = Line(store)
    watcher = Watcher(store, Feed(line, line))  # type: ignore[arg-type]  # both, by the calls that are made
    running = asyncio.create_task(watcher.run())
    for what, name, value in steps:
        if what in ("make", "paint", "drop"):
            await store.commit([write_of(what, name, value)])
        elif what == "snap":
            line.snap()
        elif what == "mend":
            line.is_up = True
        elif what == "forget":
            now[0] += 3_600_000
            store.compact()
        elif what == "deliver":
            line.deliver()
        else:
            await asyncio.sleep(0.002)
    await _settle(watcher, line)
    assert watcher.held == {stored.key: stored for stored in (await store.list(Selection())).items}
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await watcher.feed.close()


async def test_what_is_pushed_is_not_asked_for() -> None:
    store = Store([1_000_000])
    line = Line(store)
    asked: list[Any] = []

    async def watch(*arguments: Any) -> Any:
        asked.append(arguments)
        raise ApiError("nobody is to ask")

    line.watch = watch
    feed = Feed(line, line)  # type: ignore[arg-type]  # both, by the calls that are made
    waiting = asyncio.create_task(feed.watch(Selection(), store.revision, 10_000))
    await asyncio.sleep(0.01)
    await store.commit([write_of("make", "a", 0)])
    line.deliver()
    assert [event.stored.key.name for event in (await waiting).events] == ["a"]
    assert (await feed.watch(Selection(), store.revision, 10)).events == ()
    assert not asked
    await feed.close()


async def test_what_was_pushed_twice_is_told_once() -> None:
    """Pushes that were under way when the store was asked to begin anew come before it begins."""
    store = Store([1_000_000])
    line = Line(store)
    feed = Feed(line, line)  # type: ignore[arg-type]  # both, by the calls that are made
    assert (await feed.watch(Selection(), store.revision, 10)).events == ()
    await store.commit([write_of("make", "a", 0)])
    [blob] = line.lying
    line.lying.append(blob)
    line.deliver()
    batch = await feed.watch(Selection(), store.revision - 1, 10_000)
    assert [event.stored.key.name for event in batch.events] == ["a"]
    await feed.close()

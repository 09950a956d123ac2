"""Many watchers over few polls: each sees every change once, whatever its pace and wherever it begins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable

import pytest

from actors.api.errors import BadRequest, Expired
from actors.api.key import Key
from actors.reconcile.actions import Create, Delete, Patch
from actors.reconcile.watch import Selection, WatchBatch, WatchEvent
from actors.store.config import StoreConfig
from actors.store.fanout import WatchFanout
from actors.store.local import LocalStore

MAPS = Selection(("configmaps",))
MINUTE = 60_000


class CountingStore(LocalStore):
    polls = 0
    watching = 0

    async def watch(self, selection: Selection, since: int, timeout_ms: int = 30_000) -> WatchBatch:
        self.polls += 1
        self.watching += 1
        try:
            return await super().watch(selection, since, timeout_ms)
        finally:
            self.watching -= 1


@pytest.fixture
def store() -> CountingStore:
    return CountingStore()


def new_map(n: int, namespace: str = "default", **labels: str) -> Create:
    obj = {"metadata": {"name": f"m{n}", "labels": labels}}
    return Create(resource="configmaps", namespace=namespace, object=obj)


async def take(watch: AsyncIterator[WatchBatch], count: int) -> list[WatchEvent]:
    """The next `count` events."""
    events: list[WatchEvent] = []
    async with asyncio.timeout(5):
        while len(events) < count:
            events += (await anext(watch)).events
    return events


def names(events: list[WatchEvent]) -> list[str]:
    return [event.stored.key.name for event in events]


async def test_many_watchers_share_one_poll(store: CountingStore) -> None:
    fanout = WatchFanout(store)
    watches = [fanout.subscribe(MAPS, store.revision) for _ in range(50)]
    readers = [asyncio.create_task(take(watch, 3)) for watch in watches]
    await asyncio.sleep(0.05)
    assert (fanout.feed_count, store.watching) == (1, 1)
    for n in range(3):
        await store.commit([new_map(n)])
    for events in await asyncio.gather(*readers):
        assert names(events) == ["m0", "m1", "m2"]
    for watch in watches:
        await watch.aclose()  # type: ignore[attr-defined]
    await asyncio.sleep(0)
    assert (fanout.feed_count, store.watching) == (0, 0)


async def test_a_watch_of_the_past_catches_up_and_goes_on(store: CountingStore) -> None:
    fanout, start = WatchFanout(store), store.revision
    await store.commit([new_map(n) for n in range(5)])
    ahead = fanout.subscribe(MAPS, store.revision)
    reading = asyncio.create_task(take(ahead, 2))
    await asyncio.sleep(0.02)
    behind = fanout.subscribe(MAPS, start)
    assert names(await take(behind, 5)) == [f"m{n}" for n in range(5)]
    await store.commit([new_map(5), new_map(6)])
    assert names(await take(behind, 2)) == ["m5", "m6"] == names(await reading)


async def test_a_slow_watcher_misses_nothing(store: CountingStore) -> None:
    fanout = WatchFanout(store)
    quick, slow = fanout.subscribe(MAPS, store.revision), fanout.subscribe(MAPS, store.revision, room=2)
    await anext(slow)
    for n in range(30):
        await store.commit([new_map(n)])
        assert names(await take(quick, 1)) == [f"m{n}"]
    assert names(await take(slow, 30)) == [f"m{n}" for n in range(30)]


async def test_one_who_falls_below_the_horizon_is_told(store: CountingStore) -> None:
    now = [MINUTE]
    store = CountingStore(clock=lambda: now[0], config=StoreConfig(retention_minutes=1))
    fanout = WatchFanout(store)
    quick, slow = fanout.subscribe(MAPS, store.revision), fanout.subscribe(MAPS, store.revision, room=2)
    await anext(slow)
    for n in range(10):
        await store.commit([new_map(n)])
        await take(quick, 1)
    now[0] += 10 * MINUTE
    store.compact()
    with pytest.raises(Expired):
        await take(slow, 10)
    with pytest.raises(Expired):
        await anext(fanout.subscribe(MAPS, 1))
    await store.commit([new_map(10)])
    assert names(await take(quick, 1)) == ["m10"]


async def test_each_sees_its_own_selection(store: CountingStore) -> None:
    fanout, start = WatchFanout(store), store.revision
    system = fanout.subscribe(Selection(("configmaps",), "kube-system"), start)
    one = fanout.subscribe(Selection(("configmaps",), fields="metadata.name=m1"), start)
    red = fanout.subscribe(Selection(("configmaps",), labels="color=red"), start)
    key = Key("configmaps", "default", "m1")
    readers = [asyncio.create_task(take(watch, n)) for watch, n in ((system, 1), (one, 3), (red, 2))]
    await asyncio.sleep(0.02)
    await store.commit([new_map(0, "kube-system"), new_map(1, color="red"), new_map(2)])
    await store.commit([Patch(key=key, patch={"metadata": {"labels": {"color": "blue"}}})])
    await store.commit([Delete(key=key)])
    told = [[(e.type.value, e.stored.key.name) for e in events] for events in await asyncio.gather(*readers)]
    assert told == [
        [("ADDED", "m0")],
        [("ADDED", "m1"), ("MODIFIED", "m1"), ("DELETED", "m1")],
        [("ADDED", "m1"), ("DELETED", "m1")],
    ]


async def test_bookmarks_come_when_nothing_else_does(store: CountingStore) -> None:
    watch = WatchFanout(store).subscribe(MAPS, store.revision, bookmark_ms=20)
    for _ in range(3):
        assert await asyncio.wait_for(anext(watch), 1) == WatchBatch((), store.revision)


async def test_a_selector_that_cannot_be_read_is_refused(store: CountingStore) -> None:
    with pytest.raises(BadRequest):
        await anext(WatchFanout(store).subscribe(Selection(("pods",), labels="=="), 1))


class Attentive:
    """A follower that makes bytes of a batch, and shares them; `stalls`: of how many offers it is not ready for."""

    def __init__(self, selection: Selection, since: int, stalls: int = 0) -> None:
        self.selection, self.seen, self.stalls = selection, since, stalls
        self.names: list[str] = []
        self.offered, self.read, self.made = 0, 0, 0

    def offer(self, batch: WatchBatch, made: dict[Hashable, bytes]) -> bool:
        if self.stalls:
            self.stalls -= 1
            return False
        if "names" not in made:
            made["names"] = " ".join(names(list(batch.events))).encode()
            self.made += 1
        self.names += made["names"].decode().split()
        self.offered += 1
        return True

    async def catch_up(self, batch: WatchBatch) -> None:
        self.names += names(list(batch.events))
        self.seen = batch.revision
        self.read += bool(batch.events)


async def test_a_change_is_made_into_bytes_once_for_all_who_keep_up(store: CountingStore) -> None:
    fanout, since = WatchFanout(store), store.revision
    followers = [Attentive(MAPS, since, stalls=n % 3) for n in range(300)]
    tasks = [asyncio.create_task(fanout.follow(follower, 30_000)) for follower in followers]
    await asyncio.sleep(0.05)
    for n in range(5):
        await store.commit([new_map(n), new_map(n + 10)])
        await asyncio.sleep(0.05)
    expected = [f"m{m}" for n in range(5) for m in (n, n + 10)]
    assert all(follower.names == expected for follower in followers)
    assert sum(follower.made for follower in followers) == 5
    assert [(f.offered, f.read) for f in followers[:3]] == [(5, 0), (4, 1), (3, 2)], "who stalls reads, and is back"
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (fanout.feed_count, store.watching) == (0, 0)


async def test_watches_of_single_objects_share_the_poll_of_their_resource(store: CountingStore) -> None:
    fanout, since = WatchFanout(store), store.revision
    selections = [Selection(("configmaps",), "default", fields=f"metadata.name=m{n}") for n in range(20)]
    followers = [Attentive(selection, since) for selection in selections]
    tasks = [asyncio.create_task(fanout.follow(follower, 30_000)) for follower in followers]
    await asyncio.sleep(0.02)
    await store.commit([new_map(n) for n in range(20)])
    await asyncio.sleep(0.02)
    assert [follower.names for follower in followers] == [[f"m{n}"] for n in range(20)]
    assert fanout.feed_count == 1
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

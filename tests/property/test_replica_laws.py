"""Whatever is read through a replica is what the store itself would answer at that moment: for random histories, lines
that break and lag, compactions, and several replicas of which each sees what was written through the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.api.errors import ApiError, Unavailable
from actors.api.key import Key
from actors.reconcile.actions import Create, Delete, Patch, Reply, StoreWrite
from actors.reconcile.watch import Selection
from actors.store.config import StoreConfig
from actors.store.followers import Followers
from actors.store.ids import SeededIds
from actors.store.local import LocalStore
from actors.store.replica import Replica

MAPS = ("configmaps",)
SELECTIONS = [
    Selection(),
    Selection(MAPS),
    Selection(MAPS, labels="red=yes"),
    Selection(MAPS, fields="metadata.name=a"),
]


class Store(LocalStore):
    def __init__(self, now: list[int]) -> None:
        super().__init__(ids=SeededIds(1), clock=lambda: now[0], config=StoreConfig(retention_minutes=1))
        self.followers = Followers(self.engine)

    async def commit(self, writes: Sequence[StoreWrite], idempotency_key: str = "") -> list[Reply]:
        replies = await super().commit(writes, idempotency_key)
        self.followers.tell()
        return replies


class Line:
    """Client and source of one replica. What is pushed lies in the line until something is answered over it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.is_up = True
        self.lying: list[bytes] = []
        self._broken = asyncio.Event()
        self._take: Callable[[bytes], None] = self.lying.append

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    async def revision(self) -> int:
        revision = self.store.revision
        await asyncio.sleep(0)
        self.deliver()
        return revision

    def deliver(self) -> None:
        lying, self.lying = self.lying, []
        for blob in lying:
            self._take(blob)

    async def is_there(self) -> bool:
        return self.is_up

    async def follow(self, since: int, take: Callable[[bytes], None]) -> None:
        self._take, self.lying = take, []
        push = lambda blob: self.lying.append(blob)  # noqa: E731 - an identity of its own
        self.store.followers.check(since)
        self.store.followers.enter(push, since)
        self._broken.clear()
        try:
            await self._broken.wait()
        finally:
            self.store.followers.leave(push)
        raise Unavailable("the line broke")

    def snap(self) -> None:
        """What has not arrived is lost, and what is still pushed."""
        self.lying, self._take = [], lambda blob: None
        self.is_up = False
        self._broken.set()


def write_of(what: str, name: str, value: int) -> StoreWrite:
    key = Key("configmaps", "default", name)
    if what == "make":
        labels = {"red": "yes"} if value % 2 else {}
        return Create(resource="configmaps", namespace="default", object={"metadata": {"name": name, "labels": labels}})
    if what == "paint":
        return Patch(key=key, patch={"metadata": {"labels": {"red": "yes" if value % 2 else None}}})
    return Delete(key=key)


STEPS = st.one_of(
    st.tuples(st.sampled_from(["make", "make", "paint", "drop"]), st.sampled_from("abc"), st.integers(0, 1)),
    st.tuples(st.sampled_from(["snap", "mend", "rest", "forget", "deliver"]), st.just(""), st.integers(0, 1)),
    st.tuples(st.just("read"), st.sampled_from("abc"), st.integers(0, 1)),
)


async def told(question: Any) -> Any:
    try:
        return await question
    except ApiError as error:
        return error.reason, error.code


EXPIRED = ("Expired", 410)


async def same(replica: Any, store: Any) -> None:
    """What the store no longer has the replica may have still."""
    mine, theirs = await told(replica), await told(store)
    assert theirs in (mine, EXPIRED)


async def compare(store: Store, replica: Replica, name: str, since: int) -> None:
    key = Key("configmaps", "default", name)
    assert await told(replica.get(key)) == await told(store.get(key))
    await same(replica.get(key, since), store.get(key, since))
    for selection in SELECTIONS:
        assert await replica.list(selection) == await store.list(selection)
        await same(replica.list(selection, revision=since), store.list(selection, revision=since))
        await same(replica.watch(selection, since, 0), store.watch(selection, since, 0))
    page = await store.list(SELECTIONS[1], limit=1)
    assert await replica.list(SELECTIONS[1], limit=1) == page
    if page.cursor:
        theirs = await told(replica.list(SELECTIONS[1], cursor=page.cursor))
        assert theirs == await told(store.list(SELECTIONS[1], cursor=page.cursor))


@settings(max_examples=120)
@given(steps=st.lists(STEPS, max_size=40), back=st.integers(0, 10))
async def test_a_replica_answers_as_the_store(steps: list[tuple[str, str, int]], back: int) -> None:
    now = [1_000_000]
    store = Store(now)
    lines = [Line(store), Line(store)]
    replicas = [Replica(line, line) for line in lines]  # type: ignore[arg-type]
    for replica in replicas:
        await replica.list(SELECTIONS[1])
    await asyncio.sleep(0.002)
    for what, name, which in [*steps, ("read", "a", 0), ("read", "b", 1)]:
        line, replica = lines[which], replicas[which]
        if what in ("make", "paint", "drop"):
            await replica.commit([write_of(what, name, which)])
        elif what == "snap":
            line.snap()
        elif what == "mend":
            line.is_up = True
        elif what == "rest":
            await asyncio.sleep(0.06)
        elif what == "forget":
            now[0] += 3_600_000
            store.compact()
        elif what == "deliver":
            line.deliver()
        else:
            await compare(store, replica, name, max(store.revision - back, 0))
    for replica in replicas:
        await replica.close()


async def test_a_waiting_watch_hears_of_a_change_and_of_none() -> None:
    store = Store([1_000_000])
    line = Line(store)
    replica = Replica(line, line)  # type: ignore[arg-type]
    await replica.list(SELECTIONS[1])
    await asyncio.sleep(0.01)
    assert replica.revision == store.revision
    waiting = asyncio.create_task(replica.watch(SELECTIONS[1], store.revision, 10_000))
    await asyncio.sleep(0.01)
    await store.commit([write_of("make", "a", 0)])
    line.deliver()
    assert [event.stored.key.name for event in (await waiting).events] == ["a"]
    assert (await replica.watch(SELECTIONS[1], store.revision, 10)).events == ()
    await replica.close()


async def test_reads_are_answered_without_the_store_once_it_follows() -> None:
    """But for the question how far it is, one for all who ask at once."""
    store = Store([1_000_000])
    line = Line(store)
    replica = Replica(line, line)  # type: ignore[arg-type]
    await replica.list(SELECTIONS[1])
    await asyncio.sleep(0.01)
    await store.commit([write_of("make", "a", 0)])
    asked = 0

    async def counted() -> int:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        line.deliver()
        return store.revision

    line.revision = counted  # type: ignore[method-assign]
    line.store = None  # type: ignore[assignment]
    found = await asyncio.gather(*(replica.get(Key("configmaps", "default", "a")) for _ in range(50)))
    assert len(found) == 50 and asked == 1
    await replica.close()

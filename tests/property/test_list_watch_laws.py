"""A list at revision r plus the events after r equals the list at any later revision: for random histories, selectors,
namespaces and reconnections, read through pages of any size and through the fan-out that gateways watch with.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.api.errors import Expired
from actors.api.key import Key, Stored
from actors.reconcile.actions import Create, Delete, Patch, StoreWrite
from actors.reconcile.watch import EventType, Selection, WatchEvent
from actors.store.config import StoreConfig
from actors.store.fanout import WatchFanout
from actors.store.ids import SeededIds
from actors.store.local import LocalStore

NAMES = ["a", "b", "c"]
SPACES = ["default", "kube-system"]
COLOURS = ["red", "blue", ""]
NODES = ["", "n1", "n2"]
State = dict[Key, Stored]

SELECTIONS = st.builds(
    Selection,
    resources=st.sampled_from([("pods",), ("configmaps",), ("pods", "configmaps"), ()]),
    namespace=st.sampled_from(["", *SPACES]),
    labels=st.sampled_from(["", "colour=red", "colour!=red", "colour in (red,blue)", "!colour", "colour"]),
    fields=st.sampled_from(["", "metadata.name=a", "metadata.name!=a", "metadata.namespace=default"]),
)
POD_SELECTIONS = st.builds(
    Selection,
    resources=st.just(("pods",)),
    namespace=st.sampled_from(["", *SPACES]),
    labels=st.sampled_from(["", "colour=red"]),
    fields=st.sampled_from(
        ["spec.nodeName=n1", "spec.nodeName=", "status.phase=Running", "status.phase!=Pending,spec.nodeName!=n2"]
    ),
)
WRITES = st.tuples(
    st.sampled_from(["make", "make", "paint", "bind", "phase", "drop", "drop"]),
    st.sampled_from(["pods", "configmaps"]),
    st.sampled_from(SPACES),
    st.sampled_from(NAMES),
    st.integers(0, 2),
)


def write_of(what: str, resource: str, space: str, name: str, choice: int) -> StoreWrite:
    key, labels = Key(resource, space, name), {"colour": COLOURS[choice]} if COLOURS[choice] else {}
    if what == "make":
        obj: dict[str, Any] = {"metadata": {"name": name, "labels": labels}}
        if resource == "pods":
            obj["spec"] = {
                "containers": [{"name": "c", "image": "i"}],
                **({"nodeName": NODES[choice]} if choice else {}),
            }
        return Create(resource=resource, namespace=space, object=obj)
    if what == "paint":
        return Patch(key=key, patch={"metadata": {"labels": {"colour": COLOURS[choice] or None}}})
    if what == "bind":
        return Patch(
            key=Key("pods", space, name), patch={"spec": {"nodeName": NODES[choice] or "n1"}}, subresource="binding"
        )
    if what == "phase":
        phase = ["Pending", "Running", "Succeeded"][choice]
        return Patch(key=Key("pods", space, name), patch={"status": {"phase": phase}}, subresource="status")
    return Delete(key=key, grace_period_seconds=0)


def followed(state: State, events: tuple[WatchEvent, ...]) -> State:
    """What a client that obeys each event has; each must be one that it can obey."""
    after = dict(state)
    for event in events:
        key = event.stored.key
        assert (key in after) == (event.type is not EventType.ADDED), (event.type, key)
        if event.type is EventType.DELETED:
            assert event.stored.revision > after[key].revision
            del after[key]
        else:
            after[key] = event.stored
    return after


async def listed(store: LocalStore, selection: Selection, revision: int, limit: int) -> State:
    found: State = {}
    foretold: list[int] = []
    page = await store.list(selection, limit=limit, revision=revision)
    assert page.revision == revision
    while True:
        found |= {stored.key: stored for stored in page.items}
        foretold.append(len(found) + page.remaining)
        if not page.cursor:
            assert selection.labels or selection.fields or set(foretold) == {len(found)}
            return found
        assert len(page.items) == limit
        page = await store.list(selection, limit=limit, cursor=page.cursor)
        assert page.revision == revision


@settings(max_examples=150)
@given(
    history=st.lists(st.lists(WRITES, min_size=1, max_size=4), min_size=1, max_size=25),
    selection=SELECTIONS | POD_SELECTIONS,
    watch_events_max=st.sampled_from([1, 2, 1000]),
    limit=st.sampled_from([0, 1, 2]),
)
async def test_a_list_and_the_events_after_it_lead_to_every_later_list(
    history: list[list[tuple[str, str, str, str, int]]], selection: Selection, watch_events_max: int, limit: int
) -> None:
    store = LocalStore(ids=SeededIds(1), clock=lambda: 1_000_000, config=StoreConfig(watch_events_max=watch_events_max))
    first = store.revision
    for batch in history:
        await store.commit([write_of(*write) for write in batch])
    lists = {at: await listed(store, selection, at, limit) for at in range(first, store.revision + 1)}
    for since in range(first, store.revision, 3):
        state, at = lists[since], since
        while at < store.revision:
            batch_seen = await store.watch(selection, at, 0)
            assert batch_seen.revision > at
            state, at = followed(state, batch_seen.events), batch_seen.revision
            assert state == lists[at]
    assert await listed(store, selection, store.revision, 0) == lists[store.revision]


class Follower:
    """A client of the fan-out: lists, watches, loses its connection now and then, and is told to list again."""

    def __init__(self, store: LocalStore, fanout: WatchFanout, selection: Selection, room: int) -> None:
        self.store, self.fanout, self.selection, self.room = store, fanout, selection, room
        self.state: State = {}
        self.at = 0
        self.relists = 0

    async def relist(self) -> None:
        page = await self.store.list(self.selection)
        self.state, self.at = {stored.key: stored for stored in page.items}, page.revision
        self.relists += 1

    async def follow_to(self, revision: int) -> None:
        """One connection: until the revision is seen."""
        if self.at >= revision:
            return
        batches = self.fanout.subscribe(self.selection, self.at, bookmark_ms=50, room=self.room)
        try:
            async with contextlib.aclosing(batches):  # type: ignore[type-var]
                async for batch in batches:
                    assert batch.revision >= self.at
                    self.state, self.at = followed(self.state, batch.events), batch.revision
                    if self.at >= revision:
                        return
        except Expired:
            await self.relist()
            await self.follow_to(revision)


@settings(max_examples=60)
@given(
    history=st.lists(
        st.tuples(st.lists(WRITES, min_size=1, max_size=4), st.integers(0, 7), st.booleans()), min_size=1, max_size=12
    ),
    selections=st.lists(SELECTIONS | POD_SELECTIONS, min_size=1, max_size=3),
    room=st.sampled_from([1, 3, 1000]),
)
async def test_followers_that_reconnect_end_with_what_is_there(
    history: list[tuple[list[tuple[str, str, str, str, int]], int, bool]], selections: list[Selection], room: int
) -> None:
    now = [1_000_000]
    store = LocalStore(
        ids=SeededIds(1), clock=lambda: now[0], config=StoreConfig(watch_events_max=2, retention_minutes=1)
    )
    fanout = WatchFanout(store)
    followers = [Follower(store, fanout, selection, room) for selection in selections]
    for follower in followers:
        await follower.relist()
    for batch, connected, forgetful in history:
        await store.commit([write_of(*write) for write in batch])
        if forgetful:
            now[0] += 3_600_000
            store.compact()
        here = [follower for at, follower in enumerate(followers) if connected & 1 << at]
        async with asyncio.timeout(20):
            await asyncio.gather(*(follower.follow_to(store.revision) for follower in here))
        for follower in here:
            assert follower.state == await listed(store, follower.selection, store.revision, 0)
    async with asyncio.timeout(20):
        await asyncio.gather(*(follower.follow_to(store.revision) for follower in followers))
    for follower in followers:
        assert follower.state == await listed(store, follower.selection, store.revision, 0)
    assert fanout.feed_count == 0
    store.close()

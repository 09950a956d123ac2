"""A store whose every change is pushed to one watcher: what the controllers follow it by.

A long poll costs the store a call, a wait and an answer for each change; a push costs one frame, which is encoded once
for all who follow. The watcher keeps the state itself, so nothing but what it has not taken yet is kept here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from actors.api.clock import Millis
from actors.api.errors import Expired, Unavailable
from actors.api.key import Key, Stored
from actors.reconcile.actions import Reply, StoreWrite
from actors.reconcile.watch import EventType, Selection, WatchBatch, WatchEvent
from actors.store import wire
from actors.store.client import StoreClient
from actors.store.port import History, Page
from actors.store.record import Record
from actors.store.replica import Source

_EVERYTHING = Selection()


class Feed:
    """StorePort for one who watches everything from where he left off; other watches and all else are the store's to
    answer, and so is this one while nobody pushes. Used within one event loop; a pickled one begins anew elsewhere."""

    def __init__(self, client: StoreClient, source: Source) -> None:
        self._client, self._source = client, source
        self._following: asyncio.Task[None] | None = None
        self._fresh: list[Record] = []
        self._woken = asyncio.Event()
        self._told = self._heard = -1

    def __reduce__(self) -> tuple[type[Feed], tuple[StoreClient, Source]]:
        return Feed, (self._client, self._source)

    async def close(self) -> None:
        following, self._following = self._following, None
        if following is not None:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def watch(self, selection: Selection, since: int, timeout_ms: int = 30_000) -> WatchBatch:
        """Raises Expired, BadRequest, Unavailable."""
        if selection != _EVERYTHING or timeout_ms <= 0:
            return await self._client.watch(selection, since, timeout_ms)
        if self._following is None or since != self._told:
            await self._begin(since)
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                while not self._fresh and (ended := self._ended()) is None:
                    self._woken.clear()
                    await self._woken.wait()
        except TimeoutError:
            return WatchBatch((), since)
        if self._fresh:
            fresh, self._fresh = self._fresh, []
            self._told = fresh[-1].revision
            return WatchBatch(tuple(map(_event_of, fresh)), self._told)
        self._following = None
        if isinstance(ended, Unavailable | TimeoutError):
            return await self._client.watch(selection, since, timeout_ms)
        raise ended or Expired("the store says no more")

    async def _begin(self, since: int) -> None:
        await self.close()
        self._fresh, self._told, self._heard = [], since, since
        self._following = asyncio.create_task(self._source.follow(since, self._take), name="store-feed")
        self._following.add_done_callback(lambda _: self._woken.set())

    def _ended(self) -> BaseException | None:
        """Why nothing more will come; None while it may."""
        if self._following is None or not self._following.done():
            return None
        return self._following.exception()

    def _take(self, blob: bytes) -> None:
        """What was under way when it was followed anew may come twice."""
        fresh = [record for record in wire.decode_records(blob) if record.revision > self._heard]
        if fresh:
            self._fresh += fresh
            self._heard = fresh[-1].revision
            self._woken.set()

    # --- the store's to answer ------------------------------------------------------------------------------------

    async def commit(self, writes: Sequence[StoreWrite], idempotency_key: str = "") -> list[Reply]:
        return await self._client.commit(writes, idempotency_key)

    async def get(self, key: Key, revision: int = 0) -> Stored:
        return await self._client.get(key, revision)

    async def list(self, selection: Selection, *, limit: int = 0, cursor: str = "", revision: int = 0) -> Page:
        return await self._client.list(selection, limit=limit, cursor=cursor, revision=revision)

    async def revision_at(self, at: Millis) -> int:
        return await self._client.revision_at(at)

    async def history(self, selection: Selection, since: int = 0, until: int = 0) -> History:
        return await self._client.history(selection, since, until)


def _event_of(record: Record) -> WatchEvent:
    if record.removed:
        return WatchEvent(EventType.DELETED, record.stored)
    stored = record.stored
    made = stored.revision == stored.created_revision
    return WatchEvent(EventType.ADDED if made else EventType.MODIFIED, stored)

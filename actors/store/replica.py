"""A store's log, followed: StorePort whose reads are answered in this process and whose writes go to the store.

Consistent: a read sees every write that anybody was acknowledged before it was asked. It asks the store how far it is,
many readers in one call, and by then all up to there has been pushed. What is older than the replica, and everything
while it is behind, is the store's to answer; so nothing is ever refused here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from actors.api.clock import Millis
from actors.api.errors import ApiError, Expired, Unavailable
from actors.api.key import Key, Stored
from actors.reconcile.actions import Reply, StoreWrite
from actors.reconcile.watch import Selection, WatchBatch
from actors.store import reading, watch, wire
from actors.store.client import StoreClient
from actors.store.config import StoreConfig
from actors.store.local import read_clock
from actors.store.log import Log
from actors.store.news import News
from actors.store.port import History, Page
from actors.store.record import Batch, Record, Recovered

_LOG = logging.getLogger(__name__)
_PAGE_ITEMS = 5000
_RETRY_SECONDS_MIN = 0.05
_RETRY_SECONDS_MAX = 2.0
_TIDY_MS = 20_000
#: What watches resume from without a question to the store.
_HISTORY = StoreConfig(retention_minutes=5, retention_revisions=10_000, retention_bytes=64 << 20)


class Source(Protocol):
    """Where the records come from; `line.caller.StoreLine` is one."""

    async def is_there(self) -> bool:
        """Whether it can be followed at all."""
        ...

    async def follow(self, since: int, take: Callable[[bytes], None]) -> None:
        """Blobs of records after `since`, in order and without a gap, each before anything that is answered later, for
        as long as it goes. Ends with Unavailable; Expired when there is a gap."""
        ...


class Replica:
    """Used within one event loop, in which it begins to follow at the first read; `close` ends that. A pickled one
    begins anew elsewhere."""

    def __init__(self, client: StoreClient, source: Source) -> None:
        self._client, self._source = client, source
        self._log: Log | None = None
        self._news = News()
        self._following: asyncio.Task[None] | None = None
        self._asking: asyncio.Task[None] | None = None
        self._asked: list[asyncio.Future[int]] = []
        self._tidy_at = read_clock() + _TIDY_MS

    def __reduce__(self) -> tuple[type[Replica], tuple[StoreClient, Source]]:
        return Replica, (self._client, self._source)

    @property
    def revision(self) -> int:
        """How far it is; 0 while it has nothing yet."""
        return self._log.revision if self._log is not None else 0

    async def close(self) -> None:
        for task in (self._following, self._asking):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self._news.end()

    # --- StorePort ----------------------------------------------------------------------------------------------

    async def commit(self, writes: Sequence[StoreWrite], idempotency_key: str = "") -> list[Reply]:
        return await self._client.commit(writes, idempotency_key)

    async def get(self, key: Key, revision: int = 0) -> Stored:
        log = await self._fresh()
        if log is None or not _holds(log, revision):
            return await self._client.get(key, revision)
        return reading.get(log, key, revision)

    async def list(self, selection: Selection, *, limit: int = 0, cursor: str = "", revision: int = 0) -> Page:
        log = await self._fresh()
        if log is not None and _holds(log, revision):
            with contextlib.suppress(Expired):  # A cursor from before the replica.
                return reading.select_page(log, selection, limit, cursor, revision)
        return await self._client.list(selection, limit=limit, cursor=cursor, revision=revision)

    async def revision_at(self, at: Millis) -> int:
        return await self._client.revision_at(at)

    async def history(self, selection: Selection, since: int = 0, until: int = 0) -> History:
        return await self._client.history(selection, since, until)

    async def watch(self, selection: Selection, since: int, timeout_ms: int = 30_000) -> WatchBatch:
        """Waiting needs no question: what is new comes by itself."""
        if (timeout_ms > 0 and since <= self.revision) or await self._fresh() is not None:
            with contextlib.suppress(Expired):
                return await self._news.wait_changes(self, selection, since, timeout_ms)
        return await self._client.watch(selection, since, timeout_ms)

    def changes(self, selection: Selection, since: int) -> WatchBatch:
        """What is here already. Raises Expired for what the store may still have, BadRequest."""
        if self._log is None:
            raise Expired("nothing is here yet")
        return watch.changes(self._log, selection, since)

    # --- as fresh as the question -------------------------------------------------------------------------------

    async def _fresh(self) -> Log | None:
        """The log with all that was acknowledged before this call; None when it is not that far. Raises Unavailable."""
        if self._following is None:
            self._following = asyncio.create_task(self._follow_forever(), name="store-replica")
        if self._log is None:
            return None
        asked: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._asked.append(asked)
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask(), name="store-replica-asks")
        revision = await asked
        return self._log if self._log is not None and self._log.revision >= revision else None

    async def _ask(self) -> None:
        """One question at a time is under way; who comes meanwhile waits for the next."""
        try:
            while self._asked:
                asked, self._asked = self._asked, []
                try:
                    revision = await self._client.revision()
                except BaseException as error:
                    _refuse(asked, error if isinstance(error, ApiError) else Unavailable("the replica was closed"))
                    if not isinstance(error, Exception):
                        raise
                else:
                    for one in asked:
                        if not one.done():
                            one.set_result(revision)
        finally:
            self._asking = None

    # --- following ----------------------------------------------------------------------------------------------

    async def _follow_forever(self) -> None:
        pause = _RETRY_SECONDS_MIN
        while True:
            began = asyncio.get_running_loop().time()
            try:
                if await self._source.is_there():
                    await self._follow()
            except Expired:
                self._log = None
                self._news.tell_all()
            except (ApiError, OSError, TimeoutError) as error:
                _LOG.info("the store is followed again in a moment: %s", error)
            lasted = asyncio.get_running_loop().time() - began
            pause = _RETRY_SECONDS_MIN if lasted > _RETRY_SECONDS_MAX else min(2 * pause, _RETRY_SECONDS_MAX)
            await asyncio.sleep(pause)

    async def _follow(self) -> None:
        """Until the line breaks. Raises Unavailable, Expired."""
        log = self._log = self._log or await self._load()
        await self._source.follow(log.revision, self._take)

    def _take(self, blob: bytes) -> None:
        """What was committed since; told to those who wait for it."""
        log = self._log
        if log is None:
            return
        fresh = tuple(record for record in wire.decode_records(blob) if record.revision > log.revision)
        self._news.tell(log.apply(Batch(fresh, ())))
        if (now := read_clock()) > self._tidy_at:
            self._tidy_at = now + _TIDY_MS
            while (compaction := log.plan_compaction(now)) is not None:
                log.apply_compaction(compaction)

    async def _load(self) -> Log:
        """Everything at one revision."""
        page = await self._client.list(Selection(), limit=_PAGE_ITEMS)
        records = [Record(stored, False, 0) for stored in page.items]
        while page.cursor:
            page = await self._client.list(Selection(), limit=_PAGE_ITEMS, cursor=page.cursor)
            records += (Record(stored, False, 0) for stored in page.items)
        return Log.recover(Recovered(tuple(records), (), page.revision, read_clock(), page.revision), _HISTORY)


def _refuse(asked: list[asyncio.Future[int]], error: ApiError) -> None:
    for one in asked:
        if not one.done():
            one.set_exception(error)


def _holds(log: Log, revision: int) -> bool:
    return not revision or log.horizon <= revision <= log.revision

"""StorePort for a process of its own: group commit on one side, many readers and waiting watchers on the other.

Everything but the disk's write runs in one event loop, so a reader sees a state between two commits, never within one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from actors.api.clock import Millis
from actors.api.errors import ApiError
from actors.api.key import Key, Stored
from actors.reconcile.actions import Reply, StoreWrite
from actors.reconcile.watch import Selection, WatchBatch
from actors.store.engine import Engine, Request
from actors.store.expiry import plan_expiry
from actors.store.followers import Followers
from actors.store.group import GroupWriter, Tell
from actors.store.history import select_history
from actors.store.news import News
from actors.store.port import History, Page

_LOG = logging.getLogger(__name__)
_EXPIRED_AT_ONCE = 500
_USER = "system:raypod-store"


class StoreServer:
    """Used within one event loop."""

    def __init__(self, engine: Engine, clock: Callable[[], Millis]) -> None:
        self._engine = engine
        self._clock = clock
        self._news = News()
        self.followers = Followers(engine)
        self._writer = GroupWriter(engine, clock, self._news, self.followers)

    @property
    def engine(self) -> Engine:
        return self._engine

    async def commit(self, writes: Sequence[StoreWrite], idempotency_key: str = "", user: str = "") -> list[Reply]:
        return await self._writer.commit(writes, idempotency_key, user)

    def submit(self, request: Request, tell: Tell) -> None:
        """As `commit`, for one who is called back."""
        self._writer.submit(request, tell)

    async def get(self, key: Key, revision: int = 0) -> Stored:
        return self._engine.get(key, revision)

    async def list(self, selection: Selection, *, limit: int = 0, cursor: str = "", revision: int = 0) -> Page:
        return self._engine.list(selection, limit, cursor, revision)

    async def revision_at(self, at: Millis) -> int:
        return self._engine.log.revision_at(at)

    async def history(self, selection: Selection, since: int = 0, until: int = 0) -> History:
        return select_history(self._engine.log, selection, since, until)

    async def watch(self, selection: Selection, since: int, timeout_ms: int = 30_000) -> WatchBatch:
        return await self._news.wait_changes(self._engine, selection, since, timeout_ms)

    async def run(self) -> None:
        """Housekeeping, for ever: history that retention no longer asks for, Events that nobody needs."""
        while True:
            await asyncio.sleep(self._engine.config.housekeeping_seconds)
            try:
                await self.tidy()
            except ApiError as error:
                _LOG.warning("the store could not tidy up: %s", error)

    async def tidy(self) -> None:
        """One round of it."""
        await self._writer.compact()
        deletes = plan_expiry(self._engine.log, self._clock())
        for start in range(0, len(deletes), _EXPIRED_AT_ONCE):
            await self._writer.commit(deletes[start : start + _EXPIRED_AT_ONCE], user=_USER)

    async def close(self) -> None:
        """Finish what is being written, wake all watchers, close the backend."""
        await self._writer.close()
        self._news.end()
        self._engine.backend.close()

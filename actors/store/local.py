"""StorePort in this process, over any backend: each commit is planned, written and shown before the next begins.

For tests, tools and the embedded use without Ray. Not for a disk that many wait for: see group.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from actors.api.clock import Millis
from actors.api.errors import Unavailable
from actors.api.key import Key, Stored
from actors.reconcile.actions import Reply, StoreWrite
from actors.reconcile.watch import Selection, WatchBatch
from actors.store.backend.memory import MemoryBackend
from actors.store.backend.port import Backend, BackendError
from actors.store.bootstrap import bootstrap_writes
from actors.store.config import StoreConfig
from actors.store.draft import Request
from actors.store.engine import Engine
from actors.store.history import select_history
from actors.store.ids import Ids, RandomIds
from actors.store.news import News
from actors.store.port import History, Page


def read_clock() -> Millis:
    return time.time_ns() // 1_000_000


class LocalStore:
    """Used within one event loop. A store that is new to its backend begins with the bootstrap objects."""

    def __init__(
        self,
        backend: Backend | None = None,
        ids: Ids | None = None,
        clock: Callable[[], Millis] = read_clock,
        config: StoreConfig | None = None,
    ) -> None:
        self.engine = Engine(backend or MemoryBackend(), ids or RandomIds(), config)
        self._clock = clock
        self._news = News()
        self.engine.commit(bootstrap_writes(self.engine.config), clock())

    @property
    def revision(self) -> int:
        return self.engine.revision

    async def commit(self, writes: Sequence[StoreWrite], idempotency_key: str = "") -> list[Reply]:
        """Raises Unavailable when the backend does not take it."""
        plan = self.engine.plan([Request(tuple(writes), idempotency_key)], self._clock())
        try:
            self.engine.write(plan)
        except BackendError as error:
            self.engine.reload()
            self._news.tell_all()
            raise Unavailable(str(error), retry_after_seconds=1) from error
        self._news.tell(self.engine.show(plan))
        return list(plan.replies[0])

    async def get(self, key: Key, revision: int = 0) -> Stored:
        return self.engine.get(key, revision)

    async def list(self, selection: Selection, *, limit: int = 0, cursor: str = "", revision: int = 0) -> Page:
        return self.engine.list(selection, limit, cursor, revision)

    async def revision_at(self, at: Millis) -> int:
        return self.engine.log.revision_at(at)

    async def history(self, selection: Selection, since: int = 0, until: int = 0) -> History:
        return select_history(self.engine.log, selection, since, until)

    async def watch(self, selection: Selection, since: int, timeout_ms: int = 30_000) -> WatchBatch:
        return await self._news.wait_changes(self.engine, selection, since, timeout_ms)

    def compact(self) -> None:
        self.engine.compact(self._clock())

    def close(self) -> None:
        self._news.end()
        self.engine.backend.close()

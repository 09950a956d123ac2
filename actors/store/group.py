"""Group commit: requests that come while a write is under way share the next one, and its one fsync.

A commit is acknowledged after its batch is durable, and only then shown, so nobody reads what a crash can take back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from actors.api.clock import Millis
from actors.api.errors import Unavailable
from actors.reconcile.actions import Reply, StoreWrite
from actors.store.backend.port import BackendError
from actors.store.engine import Engine, Request
from actors.store.followers import Followers
from actors.store.news import News
from actors.store.work_thread import WorkThread

_LOG = logging.getLogger(__name__)
#: Of large requests together; planning more at once would keep readers and small commits waiting.
_GROUP_WRITES_MAX = 500
_RELOAD_WAIT_SECONDS = 0.5


#: What became of a request: its replies, or that nobody knows.
Tell = Callable[[list[Reply] | Unavailable], None]


class _Waiting:
    """A request and its caller, who is told once."""

    def __init__(self, request: Request, tell: Tell) -> None:
        self.request = request
        self._tell: Tell | None = tell

    def tell(self, outcome: list[Reply] | Unavailable) -> None:
        tell, self._tell = self._tell, None
        if tell is not None:
            tell(outcome)


class GroupWriter:
    """The only one that changes the engine. Used within one event loop; `close` ends its thread."""

    def __init__(self, engine: Engine, clock: Callable[[], Millis], news: News, followers: Followers) -> None:
        self._engine = engine
        self._followers = followers
        self._clock = clock
        self._news = news
        self._waiting: list[_Waiting] = []
        self._writer: asyncio.Task[None] | None = None
        self._thread = WorkThread("raypod-store-write")
        self._closed = False

    async def commit(self, writes: Sequence[StoreWrite], idempotency_key: str = "", user: str = "") -> list[Reply]:
        """Raises Unavailable when the disk does not take it; nobody knows then, repeating with the key is safe."""
        replies: asyncio.Future[list[Reply]] = asyncio.get_running_loop().create_future()

        def tell(outcome: list[Reply] | Unavailable) -> None:
            if replies.done():
                return
            if isinstance(outcome, Unavailable):
                replies.set_exception(outcome)
            else:
                replies.set_result(outcome)

        self.submit(Request(tuple(writes), idempotency_key, user), tell)
        return await replies

    def submit(self, request: Request, tell: Tell) -> None:
        """As `commit`. `tell`, which raises nothing, is called when followers have been told, before anything else
        runs in this loop: what it sends can travel with what they are sent."""
        waiting = _Waiting(request, tell)
        if self._closed:
            waiting.tell(Unavailable("the store is shutting down"))
            return
        self._waiting.append(waiting)
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_groups(), name="store-writer")

    async def _write_groups(self) -> None:
        """Until nobody waits. The next group collects while this one is being written."""
        try:
            while self._waiting:
                await self._write_group(self._take_group())
        finally:
            self._writer = None
            _fail(self._waiting, Unavailable("the store stopped before it could commit"))
            self._waiting = []

    def _take_group(self) -> list[_Waiting]:
        taken = writes = 0
        for waiting in self._waiting:
            writes += len(waiting.request.writes)
            if taken and writes > _GROUP_WRITES_MAX:
                break
            taken += 1
        group, self._waiting = self._waiting[:taken], self._waiting[taken:]
        return group

    async def _write_group(self, group: list[_Waiting]) -> None:
        try:
            plan = self._engine.plan([waiting.request for waiting in group], self._clock())
            if plan.batch.records:
                await self._thread.run(self._engine.write, plan)
            topics = self._engine.show(plan)
            self._followers.tell()
            self._news.tell(topics)
        except Exception as error:
            _LOG.exception("a commit of %d requests failed", len(group))
            _fail(group, Unavailable(f"the store could not commit: {error}", retry_after_seconds=1))
            await self._reload()
        except BaseException:
            _fail(group, Unavailable("the store stopped before it could commit"))
            raise
        else:
            for waiting, replies in zip(group, plan.replies, strict=True):
                waiting.tell(list(replies))

    async def _reload(self) -> None:
        """Whether the failed batch is durable, only the disk knows."""
        while not self._closed:
            try:
                await self._thread.run(self._engine.reload)
            except BackendError as error:
                _LOG.error("the store cannot read its log: %s", error)
                await asyncio.sleep(_RELOAD_WAIT_SECONDS)
            else:
                self._followers.tell()
                self._news.tell_all()
                return

    async def compact(self) -> None:
        """Drop what retention no longer asks for, in steps between which commits go on."""
        while (compaction := self._engine.plan_compaction(self._clock())) is not None:
            try:
                await self._thread.run(self._engine.backend.compact, compaction)
            except BackendError as error:
                _LOG.error("history was not compacted: %s", error)
                return
            self._engine.log.apply_compaction(compaction)

    # --- the end ------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Finish what waits, refuse what comes."""
        self._closed = True
        if self._writer is not None:
            await asyncio.wait([self._writer])
        self._thread.close()


def _fail(group: list[_Waiting], error: Unavailable) -> None:
    for waiting in group:
        waiting.tell(error)

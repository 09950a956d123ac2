"""StorePort over any transport that carries a blob and may lose it: Ray calls, a Unix socket, a test's queue.

Commits of one process that come while one is under way travel together in the next. Every commit has an idempotency
key, so it is repeated until it is answered or its time is up; the store carries it out once.
"""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import Awaitable, Callable, Sequence

from actors.api.clock import Millis
from actors.api.errors import Timeout, Unavailable, from_status
from actors.api.key import Key, Stored
from actors.reconcile.actions import Reply, StoreWrite
from actors.reconcile.watch import Selection, WatchBatch
from actors.store import wire
from actors.store.draft import Request
from actors.store.port import History, Page

#: (method of StoreActor, blob, timeout) -> blob. Fails with Unavailable, Timeout, TimeoutError or OSError when there is
#: no answer; picklable where the client is to be.
Call = Callable[[str, bytes, int], Awaitable[bytes]]

DEADLINE_SECONDS = 30.0
_ATTEMPT_MS = 10_000
_WATCH_SLACK_MS = 5_000
_BACKOFF_SECONDS_MIN = 0.02
_BACKOFF_SECONDS_MAX = 0.25
_BLOB_WRITES_MAX = 2000
_BLOB_GETS_MAX = 200
_LOST = (Unavailable, Timeout, TimeoutError, OSError)


class _Waiting:
    """A commit on its way, and until when it is worth repeating."""

    def __init__(self, request: bytes, write_count: int, deadline: float) -> None:
        self.request = request
        self.write_count = write_count
        self.deadline = deadline
        self.replies: asyncio.Future[list[Reply]] = asyncio.get_running_loop().create_future()


class StoreClient:
    """Used within one event loop. A pickled one begins anew elsewhere, with idempotency keys of its own."""

    def __init__(self, call: Call, deadline_seconds: float = DEADLINE_SECONDS, user: str = "") -> None:
        """`user`: in whose name it writes where a write does not tell, as the log will show."""
        self._call = call
        self._user = user
        self._deadline_seconds = deadline_seconds
        self._sender = _CommitSender(call)
        self._gets = _GetSender(self._ask)
        self._keys = (f"{prefix}-{n}" for prefix in (uuid.uuid4().hex,) for n in itertools.count())

    def __reduce__(self) -> tuple[type[StoreClient], tuple[Call, float, str]]:
        return StoreClient, (self._call, self._deadline_seconds, self._user)

    async def commit(self, writes: Sequence[StoreWrite], idempotency_key: str = "") -> list[Reply]:
        """Raises Unavailable when there was no answer in time; then it may or may not have been carried out."""
        request = wire.encode(Request(tuple(writes), idempotency_key or next(self._keys), self._user))
        deadline = asyncio.get_running_loop().time() + self._deadline_seconds
        return await self._sender.send(_Waiting(request, len(writes), deadline))

    async def get(self, key: Key, revision: int = 0) -> Stored:
        found = await self._gets.get(wire.GetCall(key, revision))
        if found.error is not None:
            raise from_status(found.error)
        assert found.stored is not None
        return found.stored

    async def list(self, selection: Selection, *, limit: int = 0, cursor: str = "", revision: int = 0) -> Page:
        return wire.decode_page(await self._ask("list", wire.ListCall(selection, limit, cursor, revision)))

    async def revision_at(self, at: Millis) -> int:
        return wire.decode_revision(await self._ask("revision_at", at))

    async def revision(self) -> int:
        """Of the last commit that anybody may have heard of."""
        return wire.decode_revision(await self._ask("revision", None))

    async def history(self, selection: Selection, since: int = 0, until: int = 0) -> History:
        return wire.decode_history(await self._ask("history", wire.HistoryCall(selection, since, until)))

    async def watch(self, selection: Selection, since: int, timeout_ms: int = 30_000) -> WatchBatch:
        """Repeats a lost poll too: nothing is missed, for the next one begins at the same revision."""
        call = wire.WatchCall(selection, since, timeout_ms)
        return wire.decode_batch(await self._ask("watch", call, timeout_ms + _WATCH_SLACK_MS))

    async def _ask(self, method: str, question: object, attempt_ms: int = _ATTEMPT_MS) -> bytes:
        """Reads may be repeated as they are."""
        blob, loop = wire.encode(question), asyncio.get_running_loop()
        deadline, backoff = loop.time() + self._deadline_seconds, _BACKOFF_SECONDS_MIN
        while True:
            try:
                return await self._call(method, blob, attempt_ms)
            except _LOST as error:
                if loop.time() + backoff >= deadline:
                    raise Unavailable(f"the store does not answer: {_told(error)}") from error
            await asyncio.sleep(backoff)
            backoff = min(2 * backoff, _BACKOFF_SECONDS_MAX)


class _GetSender:
    """One blob at a time is under way; what comes meanwhile is the next: no answer is older than its question."""

    def __init__(self, ask: Callable[[str, object], Awaitable[bytes]]) -> None:
        self._ask = ask
        self._waiting: list[tuple[wire.GetCall, asyncio.Future[wire.Found]]] = []
        self._sending: asyncio.Task[None] | None = None

    async def get(self, call: wire.GetCall) -> wire.Found:
        found: asyncio.Future[wire.Found] = asyncio.get_running_loop().create_future()
        self._waiting.append((call, found))
        if self._sending is None:
            self._sending = asyncio.create_task(self._send_all(), name="store-client-gets")
        return await found

    async def _send_all(self) -> None:
        group: list[tuple[wire.GetCall, asyncio.Future[wire.Found]]] = []
        try:
            while self._waiting:
                group, self._waiting = self._waiting[:_BLOB_GETS_MAX], self._waiting[_BLOB_GETS_MAX:]
                await self._send(group)
        finally:
            self._sending = None
            _give_up([found for _, found in (*group, *self._waiting)])
            self._waiting = []

    async def _send(self, group: Sequence[tuple[wire.GetCall, asyncio.Future[wire.Found]]]) -> None:
        try:
            answers = wire.decode_found(await self._ask("get", tuple(call for call, _ in group)))
        except Exception as error:
            for _, found in group:
                if not found.done():
                    found.set_exception(error)
            return
        for (_, found), answer in zip(group, answers, strict=True):
            if not found.done():
                found.set_result(answer)


def _give_up(waiting: Sequence[asyncio.Future[wire.Found]]) -> None:
    for found in waiting:
        if not found.done():
            found.set_exception(Unavailable("the client of the store was stopped"))


class _CommitSender:
    """One blob at a time is under way; what comes meanwhile is the next."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._waiting: list[_Waiting] = []
        self._sending: asyncio.Task[None] | None = None

    async def send(self, waiting: _Waiting) -> list[Reply]:
        self._waiting.append(waiting)
        if self._sending is None:
            self._sending = asyncio.create_task(self._send_all(), name="store-client-commits")
        return await waiting.replies

    async def _send_all(self) -> None:
        try:
            while self._waiting:
                await self._send_group(self._take_group())
        finally:
            self._sending = None
            _fail(self._waiting, Unavailable("the client of the store was stopped"))
            self._waiting = []

    def _take_group(self) -> list[_Waiting]:
        taken = writes = 0
        for waiting in self._waiting:
            writes += waiting.write_count
            if taken and writes > _BLOB_WRITES_MAX:
                break
            taken += 1
        group, self._waiting = self._waiting[:taken], self._waiting[taken:]
        return group

    async def _send_group(self, group: list[_Waiting]) -> None:
        """Until each is answered or out of time."""
        backoff = _BACKOFF_SECONDS_MIN
        try:
            while group := [waiting for waiting in group if not waiting.replies.done()]:
                lost = await self._send_once(group)
                if lost is None:
                    continue
                now = asyncio.get_running_loop().time()
                late = [waiting for waiting in group if now + backoff >= waiting.deadline]
                _fail(late, Unavailable(f"the store does not answer: {_told(lost)}"))
                await asyncio.sleep(backoff)
                backoff = min(2 * backoff, _BACKOFF_SECONDS_MAX)
        except BaseException as error:
            _fail(group, Unavailable(f"the commit was abandoned: {_told(error)}"))
            raise

    async def _send_once(self, group: list[_Waiting]) -> BaseException | None:
        """What stood in the way of an answer to one of them; None when all are answered."""
        try:
            blob = wire.join_requests([waiting.request for waiting in group])
            answers = wire.decode_committed(await self._call("commit", blob, _ATTEMPT_MS))
        except _LOST as error:
            return error
        except Exception as error:
            _fail(group, error)
            return None
        lost: BaseException | None = None
        for waiting, answer in zip(group, answers, strict=True):
            refusal = from_status(answer.error) if answer.error is not None else None
            if isinstance(refusal, Unavailable):
                lost = refusal
            elif not waiting.replies.done():
                _settle(waiting, answer, refusal)
        return lost


def _settle(waiting: _Waiting, answer: wire.Committed, error: Exception | None) -> None:
    if error is not None:
        waiting.replies.set_exception(error)
    else:
        waiting.replies.set_result(list(answer.replies))


def _fail(group: Sequence[_Waiting], error: Exception) -> None:
    for waiting in group:
        if not waiting.replies.done():
            waiting.replies.set_exception(error)


def _told(error: BaseException) -> str:
    return str(error) or type(error).__name__

"""The caller's end of the line: `Call` over the store's Unix socket, and over something else where there is none.

Calls share one connection and are answered in any order. A line that breaks fails what is under way with Unavailable,
which every caller repeats (client.py); the next call opens it anew.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import cast

from actors.api.errors import InternalError, Unavailable
from actors.store import wire
from actors.store.client import Call
from actors.store.line.frames import FAILED, FOLLOW, METHODS, PUSHED, BrokenFrame, Splitter, frame

_NUMBER_OF = {name: number for number, name in enumerate(METHODS)}
_CALL_MAX = 1 << 32
_FOLLOW_SECONDS = 10.0
_GONE = "the store is being started again"


class StoreLine:
    """Used within one event loop; a pickled one begins anew elsewhere. `otherwise`: for as long as nobody listens."""

    def __init__(self, path: Path, otherwise: Call) -> None:
        self._path, self._otherwise = path, otherwise
        self._line: _Line | None = None
        self._opening: asyncio.Task[_Line | None] | None = None

    def __reduce__(self) -> tuple[type[StoreLine], tuple[Path, Call]]:
        return StoreLine, (self._path, self._otherwise)

    async def __call__(self, method: str, blob: bytes, timeout_ms: int) -> bytes:
        """Raises Unavailable, TimeoutError; InternalError."""
        line = self._line or await self._open()
        if line is None:
            return await self._otherwise(method, blob, timeout_ms)
        async with asyncio.timeout(timeout_ms / 1000):
            return await line.ask(_NUMBER_OF[method], blob)

    async def is_there(self) -> bool:
        """Whether somebody listens."""
        return (self._line or await self._open()) is not None

    async def follow(self, since: int, take: Callable[[bytes], None]) -> None:
        """Has every blob of records after `since` taken, at once as it comes, until the line breaks.

        Raises Unavailable when it does, or nobody listens; Expired.
        """
        line = self._line or await self._open()
        if line is None:
            raise Unavailable("the store has no line here")
        line.take = take
        async with asyncio.timeout(_FOLLOW_SECONDS):
            wire.decode_revision(await line.ask(FOLLOW, wire.encode(since)))
        await asyncio.shield(line.broken)
        raise Unavailable(_GONE)

    async def _open(self) -> _Line | None:
        """One at a time, for all who ask."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._connect())
        return await asyncio.shield(self._opening)

    async def _connect(self) -> _Line | None:
        try:
            folder = os.open(self._path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                place = f"/proc/self/fd/{folder}/{self._path.name}"
                _, line = await asyncio.get_running_loop().create_unix_connection(lambda: _Line(self._lost), place)
            finally:
                os.close(folder)
        except OSError:
            return None
        else:
            self._line = line
            return line
        finally:
            self._opening = None

    def _lost(self, line: _Line) -> None:
        if self._line is line:
            self._line = None


class _Line(asyncio.Protocol):
    """One connection and the calls that wait on it."""

    def __init__(self, lost: Callable[[_Line], None]) -> None:
        self.take: Callable[[bytes], None] | None = None
        self.broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lost = lost
        self._splitter = Splitter()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._transport: asyncio.Transport | None = None

    async def ask(self, method: int, blob: bytes) -> bytes:
        if self._transport is None:
            raise Unavailable(_GONE)
        number = next(self._numbers) % _CALL_MAX
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._transport.write(frame(number, method, blob))
        try:
            answered: bytes = await answer
            return answered
        finally:
            self._waiting.pop(number, None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._lost(self)
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(Unavailable(_GONE))
        if not self.broken.done():
            self.broken.set_result(None)

    def data_received(self, data: bytes) -> None:
        try:
            for number, what, blob in self._splitter.feed(data):
                self._receive(number, what, blob)
        except BrokenFrame:
            if self._transport is not None:
                self._transport.abort()

    def _receive(self, number: int, what: int, blob: bytes) -> None:
        if what == PUSHED:
            if self.take is not None:
                self.take(blob)
            return
        answer = self._waiting.get(number)
        if answer is None or answer.done():
            return
        if what == FAILED:
            answer.set_exception(InternalError(f"the store failed: {blob.decode(errors='replace')}"))
        else:
            answer.set_result(blob)

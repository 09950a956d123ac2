"""Frames over a connection, and over memory for tests. A writer waits while the other side does not read."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, Protocol

from actors.api.streams import HEAD_BYTES, PING, encode_frame, parse_head

_UNSENT_BYTES_MAX = 64 << 10


class Frames(Protocol):
    """One end of a stream."""

    async def read(self) -> tuple[int, bytes] | None:
        """(channel, payload); None when the other side has gone. Raises FrameError."""
        ...

    async def write(self, channel: int, payload: bytes = b"") -> None:
        """Raises ConnectionError."""
        ...

    async def close(self) -> None: ...


class SocketFrames:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._writing = asyncio.Lock()
        writer.transport.set_write_buffer_limits(high=_UNSENT_BYTES_MAX)

    async def read(self) -> tuple[int, bytes] | None:
        try:
            while True:
                channel, length = parse_head(await self._reader.readexactly(HEAD_BYTES))
                payload = await self._reader.readexactly(length)
                if channel != PING:
                    return channel, payload
        except (asyncio.IncompleteReadError, OSError):
            return None

    async def write(self, channel: int, payload: bytes = b"") -> None:
        async with self._writing:
            if self._writer.is_closing():
                raise ConnectionResetError("the other side has gone")
            self._writer.write(encode_frame(channel, payload))
            try:
                await self._writer.drain()
            except OSError as error:
                raise ConnectionResetError("the other side has gone") from error

    async def close(self) -> None:
        """What was written is still sent, as far as the other side takes it soon."""
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._writer.wait_closed()


_CLOSE_SECONDS = 5.0


class MemoryFrames:
    """Half of a pair."""

    def __init__(self, inbox: asyncio.Queue[tuple[int, bytes] | None], outbox: asyncio.Queue[tuple[int, bytes] | None]):
        self._inbox, self._outbox = inbox, outbox
        self._closed = False

    async def read(self) -> tuple[int, bytes] | None:
        found = await self._inbox.get()
        if found is None:
            self._inbox.put_nowait(None)
        return found

    async def write(self, channel: int, payload: bytes = b"") -> None:
        if self._closed:
            raise ConnectionResetError("the other side has gone")
        await self._outbox.put((channel, payload))

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            await self._outbox.put(None)


def memory_pair() -> tuple[MemoryFrames, MemoryFrames]:
    """Each end holds a few frames."""
    there: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue(8)
    back: asyncio.Queue[tuple[int, bytes] | None] = asyncio.Queue(8)
    return MemoryFrames(there, back), MemoryFrames(back, there)


async def first_of(*work: Coroutine[Any, Any, Any]) -> None:
    """Until one of them ends; the others are cancelled. A side that has gone is no failure."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, ConnectionError):
            raise error

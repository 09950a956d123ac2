"""Many streams over one connection of bytes, be it a WebSocket or one that was upgraded: the shell around `spdy`.

What a stream has not taken yet is bounded: then nothing more is read from the connection.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

from aiohttp import WSMsgType, web

from actors.gateway.spdy.session import REFUSED_STREAM, GoneAway, Opened, Received, Reset, Session
from actors.gateway.streams.idle import Idle
from actors.gateway.streams.websocket import heard

_UNREAD_BYTES_MAX = 256 << 10
STREAMS_MAX = 2_000
_NOW_AND_THEN_SECONDS = 1.0
#: As many frames as fit into so much are taken before others have their turn.
_TURN_BYTES = 64 << 10


class Bytes(Protocol):
    """A connection."""

    async def receive(self) -> bytes:
        """b"" at its end."""
        ...

    async def send(self, data: bytes) -> None:
        """Waits while the other side does not read. Raises ConnectionError."""
        ...


class WebSocketBytes:
    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket, self._heard = socket, heard(socket)

    async def receive(self) -> bytes:
        async for message in self._heard:
            if message.type is WSMsgType.BINARY and message.data:
                return bytes(message.data)
        return b""

    async def send(self, data: bytes) -> None:
        await self._socket.send_bytes(data)


class SpdyStream:
    """One that the client has opened."""

    def __init__(self, connection: SpdyConnection, number: int, headers: dict[str, str]) -> None:
        self._connection, self.number, self.headers = connection, number, headers
        self._chunks: deque[bytes] = deque()
        self._unread = 0
        self._ended = self._closed = False
        #: The client wants nothing more of it.
        self.is_reset = False
        self._changed = asyncio.Event()

    async def read(self) -> bytes:
        """b"" at the end, or when it was reset."""
        while not self._chunks:
            if self._ended:
                return b""
            self._changed.clear()
            await self._changed.wait()
        chunk = self._chunks.popleft()
        self._unread -= len(chunk)
        self._changed.set()
        return chunk

    async def write(self, data: bytes) -> None:
        """Raises ConnectionError."""
        if self.is_reset or self._closed:
            raise ConnectionResetError("the stream was closed")
        await self._connection.send(self.number, data)

    async def close(self) -> None:
        """Nothing more is said on it. A second call does nothing."""
        if not self._closed and not self.is_reset:
            self._closed = True
            await self._connection.send(self.number, b"", end=True)

    async def put(self, data: bytes, *, end: bool) -> None:
        """By the connection: waits until there is room."""
        while self._unread > _UNREAD_BYTES_MAX and not self._ended:
            self._changed.clear()
            await self._changed.wait()
        if data and not self._ended:
            self._chunks.append(data)
            self._unread += len(data)
        self._ended = self._ended or end
        self._changed.set()

    def abort(self) -> None:
        self.is_reset = self._ended = True
        self._changed.set()


class SpdyConnection:
    """`run` drives it; `accept` gives what the client opens, which is answered by then."""

    def __init__(self, connection: Bytes) -> None:
        self._bytes, self._session = connection, Session()
        self._streams: dict[int, SpdyStream] = {}
        self._opened: asyncio.Queue[SpdyStream | None] = asyncio.Queue()
        self._sending = asyncio.Lock()
        self._active = asyncio.Event()

    async def keep(self, idle: Idle) -> None:
        """For ever: `idle` hears of what happens, now and then."""
        while True:
            await self._active.wait()
            self._active.clear()
            idle.touch()
            await asyncio.sleep(_NOW_AND_THEN_SECONDS)

    async def accept(self) -> SpdyStream | None:
        """None when there will be no more."""
        return await self._opened.get()

    async def run(self) -> None:
        """Until the client has gone. Raises SpdyError, ConnectionError."""
        try:
            while data := await self._bytes.receive():
                self._active.set()
                for start in range(0, len(data), _TURN_BYTES):
                    for event in self._session.receive(data[start : start + _TURN_BYTES]):
                        await self._take(event)
                    await self._flush()
                    await asyncio.sleep(0)
        finally:
            for stream in self._streams.values():
                stream.abort()
            self._opened.put_nowait(None)

    async def _take(self, event: Opened | Received | Reset | GoneAway) -> None:
        if isinstance(event, Opened):
            await self._open(event)
        elif isinstance(event, GoneAway):
            self._opened.put_nowait(None)
        elif (stream := self._streams.get(event.stream)) is None:
            return
        elif isinstance(event, Reset):
            stream.abort()
            del self._streams[event.stream]
        else:
            await stream.put(event.data, end=event.ended)

    async def _open(self, event: Opened) -> None:
        if max(len(self._streams), self._opened.qsize()) >= STREAMS_MAX:  # a reset one may still wait to be accepted
            self._session.reset(event.stream, REFUSED_STREAM)
            return
        stream = self._streams[event.stream] = SpdyStream(self, event.stream, event.headers)
        if event.ended:
            await stream.put(b"", end=True)
        self._session.reply(event.stream)
        self._opened.put_nowait(stream)

    async def send(self, stream: int, data: bytes, *, end: bool = False) -> None:
        self._active.set()
        self._session.send(stream, data, end=end)
        await self._flush()

    async def reset(self, stream: SpdyStream) -> None:
        """It is not served."""
        self._streams.pop(stream.number, None)
        self._session.reset(stream.number, REFUSED_STREAM)
        await self._flush()

    def forget(self, *streams: SpdyStream) -> None:
        """They are done with on both sides."""
        for stream in streams:
            self._streams.pop(stream.number, None)

    async def _flush(self) -> None:
        async with self._sending:
            if data := self._session.take():
                await self._bytes.send(data)

"""A connection that was HTTP's, taken over as it is: for SPDY, and for whatever a proxied target upgrades to.

Its end is still told to HTTP's protocol, which counts connections and cancels what runs for one that has gone.
"""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

_CHUNK_BYTES = 32 << 10


class Taken(web.StreamResponse):
    """The answer of a request whose connection is no longer HTTP's: there is nothing to be written of it."""

    def __init__(self, request: web.BaseRequest) -> None:
        super().__init__(status=101)
        self._taken = request

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """The connection is over with what it was taken for."""
        if self._taken.transport is not None:
            self._taken.transport.close()

    @property
    def keep_alive(self) -> bool | None:
        return False


class TakenBytes:
    """Both directions of it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def read(self) -> bytes:
        """b"" at the end."""
        try:
            return await self._reader.read(_CHUNK_BYTES)
        except OSError:
            return b""

    receive = read

    async def write(self, data: bytes) -> None:
        """Waits while the client does not read. Raises ConnectionError."""
        self._writer.write(data)
        await self._writer.drain()

    send = write

    async def close(self) -> None:
        self._writer.close()


class _Protocol(asyncio.StreamReaderProtocol):
    def __init__(self, reader: asyncio.StreamReader, before: asyncio.BaseProtocol) -> None:
        super().__init__(reader)
        self._before = before

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._before.connection_lost(exc)


def take_over(request: web.BaseRequest) -> TakenBytes:
    """Raises ConnectionResetError for one that is gone. What the client has sent ahead comes first."""
    transport, before = request.transport, request.protocol
    if transport is None:
        raise ConnectionResetError("the client has gone")
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_CHUNK_BYTES, loop=loop)
    protocol = _Protocol(reader, before)
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    transport.resume_reading()
    return TakenBytes(reader, asyncio.StreamWriter(transport, protocol, reader, loop))

"""A reply of unknown length, in chunks of HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from aiohttp import web

#: Key of a request whose reply is a stream that has begun: no Status can follow.
STREAMING = web.RequestKey("streaming", bool)
#: By which a request is known in the audit log, here and at servers behind this one: its `Audit-Id`.
AUDIT_ID = web.RequestKey("audit_id", str)


class Stream:
    """A reply of unknown length. A client that does not read for `stall_seconds` is cut off."""

    def __init__(self, request: web.BaseRequest, content_type: str, stall_seconds: int) -> None:
        self._request = request
        self._stall_seconds = stall_seconds
        headers = {"Content-Type": content_type, "Cache-Control": "no-cache, private"}
        headers |= {"Audit-Id": request[AUDIT_ID]} if AUDIT_ID in request else {}
        self.response: web.StreamResponse = web.StreamResponse(headers=headers)

    async def open(self) -> None:
        if not self.response.prepared:
            self._request[STREAMING] = True
            await self.response.prepare(self._request)

    async def write(self, chunks: Iterable[bytes]) -> None:
        """Raises ConnectionError."""
        await self.open()
        try:
            async with asyncio.timeout(self._stall_seconds):
                await self._send_all(chunks)
        except TimeoutError:
            self.abort()
            raise ConnectionResetError("the client does not read") from None

    async def _send_all(self, chunks: Iterable[bytes]) -> None:
        if data := b"".join(chunks):
            await self.response.write(data)

    @property
    def is_ready(self) -> bool:
        """Whether more can be sent at once: the reply is in chunks, and the client has read most of it."""
        transport, protocol = self._request.transport, self._request.protocol
        if transport is None or transport.is_closing() or protocol.writing_paused:
            return False
        return self.response.headers.get("Transfer-Encoding") == "chunked"

    def send(self, chunk: bytes) -> None:
        """A whole chunk (`chunk_of`) of a stream that is ready, without waiting; who sends much shares the bytes."""
        if self._request.transport is not None:
            self._request.transport.write(chunk)

    def abort(self) -> None:
        """End so that the client knows that something is missing."""
        transport = self._request.transport
        if transport is not None:
            transport.abort()


def chunk_of(data: bytes) -> bytes:
    """As HTTP/1.1 frames it."""
    return b"%x\r\n%b\r\n" % (len(data), data)

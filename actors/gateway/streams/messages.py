"""A watch or a log over a WebSocket: each event is a text message; a log's bytes are binary ones, or base64 as text.

apiserver pkg/endpoints/handlers/watch.go HandleWS; apimachinery pkg/util/httpstream/wsstream Reader.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterable

from aiohttp import web

from actors.gateway.stream import STREAMING, Stream
from actors.gateway.streams.upgrade import choose_protocol, websocket_protocols

BINARY, BASE64 = "binary.k8s.io", "base64.binary.k8s.io"


class MessageStream(Stream):
    """`text`: each chunk is a message of its own."""

    def __init__(self, request: web.BaseRequest, stall_seconds: int, *, text: bool) -> None:
        """Raises BadRequest."""
        asked = websocket_protocols(request.headers)
        protocol = "" if text else choose_protocol(asked, (BINARY, BASE64))
        super().__init__(request, "", stall_seconds)
        self._text, self._base64 = text, protocol == BASE64
        self._socket = web.WebSocketResponse(protocols=(protocol,) if protocol else (), compress=False, timeout=1.0)
        self.response = self._socket
        self._listening: asyncio.Task[None] | None = None

    async def open(self) -> None:
        if not self._socket.prepared:
            self._request[STREAMING] = True
            await self._socket.prepare(self._request)
            self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        """For the client's goodbye: it has nothing else to say."""
        async for _ in self._socket:
            pass
        if self._request.transport is not None:
            self._request.transport.close()  # what was written is still sent

    async def _send_all(self, chunks: Iterable[bytes]) -> None:
        for chunk in filter(None, chunks):
            await self._send(chunk)

    async def _send(self, chunk: bytes) -> None:
        if self._text:
            await self._socket.send_str(chunk.decode())
        elif self._base64:
            await self._socket.send_str(base64.b64encode(chunk).decode())
        else:
            await self._socket.send_bytes(chunk)

    @property
    def is_ready(self) -> bool:
        """Chunks of HTTP are not for it."""
        return False

"""The node's listener for streams. A ticket comes by an actor call and is good for one connection within seconds.

TLS with a key of this process: the ticket carries its certificate, so the gateway knows the node by it; the token lets
the node know the gateway. Who has no ticket is hung up on. The listener is opened with the first ticket.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from actors.api.errors import ApiError, TooManyRequests
from actors.api.streams import FrameError, StreamRequest, StreamTicket
from actors.nodelet.streams.certificate import make_certificate
from actors.nodelet.streams.frames import Frames, SocketFrames
from actors.nodelet.streams.session import failure_status, send_status, serve_connection, serve_process
from actors.plugins.errors import PluginError
from actors.plugins.runtime.port import Connection, Streams

_LOG = logging.getLogger(__name__)
_TOKEN_BYTES = 32
_TICKET_SECONDS = 30.0
_HANDSHAKE_SECONDS = 10.0
_USER_TIMEOUT_MS = 60_000
#: Tickets and streams of one node at once.
STREAMS_MAX = 1_000

Opener = Callable[[StreamRequest], Awaitable[Streams | Connection]]


class _Issued(msgspec.Struct, frozen=True):
    request: StreamRequest
    until: float


class StreamEndpoint:
    """`open_` starts what a ticket is for, when it is used. `folder` is for the key, which never leaves it."""

    def __init__(self, address: str, port: int, folder: Path, open_: Opener) -> None:
        self._address, self._port, self._folder, self._open = address, port, folder, open_
        self._issued: dict[str, _Issued] = {}
        self._serving: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._certificate = ""
        self._starting = asyncio.Lock()

    async def issue(self, request: StreamRequest) -> StreamTicket:
        """Raises TooManyRequests; OSError when nothing can be listened on."""
        await self._start()
        now = time.monotonic()
        self._issued = {token: issued for token, issued in self._issued.items() if issued.until > now}
        if len(self._issued) + len(self._serving) >= STREAMS_MAX:
            raise TooManyRequests(f"this node serves {STREAMS_MAX} streams already", retry_after_seconds=1)
        token = secrets.token_hex(_TOKEN_BYTES)
        self._issued[token] = _Issued(request, now + _TICKET_SECONDS)
        return StreamTicket(
            address=self._address, port=self._listening_port(), token=token, certificate=self._certificate
        )

    async def close(self) -> None:
        """Streams that are open are cut off."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in list(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def _listening_port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def _start(self) -> None:
        async with self._starting:
            if self._server is not None:
                return
            key, self._certificate = await asyncio.to_thread(make_certificate, self._folder)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            context.load_cert_chain(key)
            self._server = await asyncio.start_server(
                self._accept, self._address, self._port, ssl=context, ssl_handshake_timeout=_HANDSHAKE_SECONDS
            )

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        _notice_dead_peers(writer)
        frames = SocketFrames(reader, writer)
        try:
            request = await self._redeem(reader)
            if request is not None:
                await self._serve(frames, request)
        except (ConnectionError, FrameError):
            pass
        except Exception:
            _LOG.exception("a stream failed")
        finally:
            self._serving.discard(task)
            await frames.close()

    async def _redeem(self, reader: asyncio.StreamReader) -> StreamRequest | None:
        with contextlib.suppress(asyncio.IncompleteReadError, TimeoutError, UnicodeDecodeError, OSError):
            async with asyncio.timeout(_HANDSHAKE_SECONDS):
                token = (await reader.readexactly(2 * _TOKEN_BYTES)).decode("ascii")
            issued = self._issued.pop(token, None)
            if issued is not None and issued.until > time.monotonic():
                return issued.request
        return None

    async def _serve(self, frames: Frames, request: StreamRequest) -> None:
        try:
            opened = await self._open(request)
        except (ApiError, PluginError) as error:
            await send_status(frames, failure_status(error))
            return
        await run_stream(frames, request, opened)


async def run_stream(frames: Frames, request: StreamRequest, opened: Streams | Connection) -> None:
    """`opened` is what the request's verb asks for."""
    if request.verb == "connect":
        await serve_connection(frames, opened)  # type: ignore[arg-type]  # by the request's verb
    else:
        await serve_process(frames, request, opened)  # type: ignore[arg-type]  # by the request's verb


def _notice_dead_peers(writer: asyncio.StreamWriter) -> None:
    sock: socket.socket = writer.get_extra_info("socket")
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS)


async def redeem(ticket: StreamTicket) -> SocketFrames:
    """The other end. Raises OSError (also of a node that shows another certificate), TimeoutError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.load_verify_locations(cadata=ticket.certificate)
    async with asyncio.timeout(_HANDSHAKE_SECONDS):
        reader, writer = await asyncio.open_connection(ticket.address, ticket.port, ssl=context)
    _notice_dead_peers(writer)
    writer.write(ticket.token.encode())
    return SocketFrames(reader, writer)

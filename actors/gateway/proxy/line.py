"""A connection to what is behind the proxy, as a socket that any HTTP client can use.

To a pod it is made by its node, within the pod; to any other address by the gateway itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import msgspec
from aiohttp.client_proto import ResponseHandler

from actors.api.streams import CLOSE, ERROR, STDIN, STDOUT
from actors.nodelet.streams.frames import Frames

_CONNECT_SECONDS = 10.0
_CHUNK_BYTES = 32 << 10

Open = Callable[[], Awaitable[Frames]]


class Lines:
    """Makes connections; what they are relayed by ends with `close`. `failure`: why the last one could not be made."""

    def __init__(self, host: str, port: int, *, secure: bool, through: Open | None) -> None:
        self.host, self.port, self._through = host, port, through
        self.secure = _unverified() if secure else None
        self.failure = ""
        self._relays: set[asyncio.Task[None]] = set()

    async def connect(self) -> socket.socket:
        """Raises ApiError, OSError, TimeoutError."""
        if self._through is None:
            return await _dial(self.host, self.port)
        frames = await self._through()
        ours, theirs = socket.socketpair()
        relay = asyncio.create_task(self._relay(frames, theirs))
        self._relays.add(relay)
        relay.add_done_callback(self._relays.discard)
        return ours

    async def _relay(self, frames: Frames, sock: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=sock)
        sending = asyncio.create_task(_send(reader, frames))
        try:
            with contextlib.suppress(ConnectionError):
                await self._receive(frames, writer)
        finally:
            sending.cancel()
            writer.close()
            await asyncio.gather(sending, return_exceptions=True)
            await frames.close()

    async def _receive(self, frames: Frames, writer: asyncio.StreamWriter) -> None:
        while (found := await frames.read()) is not None:
            channel, payload = found
            if channel == STDOUT:
                writer.write(payload)
                await writer.drain()
            elif channel == ERROR:
                self.failure = str(msgspec.json.decode(payload).get("message", ""))
                return
            elif channel == CLOSE:
                return

    async def close(self) -> None:
        for relay in list(self._relays):
            relay.cancel()
        await asyncio.gather(*self._relays, return_exceptions=True)


async def _send(reader: asyncio.StreamReader, frames: Frames) -> None:
    while data := await reader.read(_CHUNK_BYTES):
        await frames.write(STDIN, data)
    await frames.write(CLOSE, bytes([STDIN]))


async def _dial(host: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    sock.setblocking(False)
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            await asyncio.get_running_loop().sock_connect(sock, (host, port))
    except BaseException:
        sock.close()
        raise
    return sock


def _unverified() -> ssl.SSLContext:
    """A pod has no name that a certificate could prove; kube-apiserver does not ask for one, either."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class LineConnector(aiohttp.BaseConnector):
    def __init__(self, lines: Lines) -> None:
        super().__init__(force_close=True)
        self._lines = lines

    async def _create_connection(self, req: Any, traces: Any, timeout: Any) -> ResponseHandler:
        try:
            sock = await self._lines.connect()
            secure = self._lines.secure
            _, protocol = await self._loop.create_connection(
                self._factory, sock=sock, ssl=secure, server_hostname="" if secure else None
            )
        except (OSError, TimeoutError) as error:
            raise aiohttp.ClientConnectionError(str(error) or "no answer in time") from error
        return protocol

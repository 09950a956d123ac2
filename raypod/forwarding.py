"""Local ports that lead into a replica: each connection is a WebSocket of its own, `pods/NAME/portforward`.

The protocol connection.raypod.io carries the end of either direction, which v4.channel.k8s.io cannot say; and that each
connection has its own means that one who does not read stops nobody else.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from types import TracebackType

import aiohttp

from raypod.errors import RaypodError

Connect = Callable[[int], Awaitable[aiohttp.ClientWebSocketResponse]]
Told = Callable[[str], None]

PROTOCOL = "connection.raypod.io"
_DATA_IN, _DATA_OUT, _ERROR, _CLOSE = 0, 1, 3, 255
_PIECE_BYTES = 64 << 10
_PORT_MAX = 65_535
_WORD = re.compile(r"((?P<local>\d{0,5}):)?(?P<remote>\d{1,5})\Z", re.ASCII)
_LOCALHOST = ("127.0.0.1", "::1")


def parse_port(word: int | str) -> tuple[int, int]:
    """(local, remote) of 8080, "5000:8080" or ":8080"; local 0: any that is free. Raises ValueError."""
    text = str(word)
    if text.lower().endswith("/udp"):
        raise ValueError(f"{text!r}: only TCP is forwarded")
    match = _WORD.match(text)
    remote = int(match["remote"]) if match else 0
    local = remote if match and match["local"] is None else int((match and match["local"]) or 0)
    if not 1 <= remote <= _PORT_MAX or local > _PORT_MAX:
        raise ValueError(f"{text!r} is no port: write 8080, LOCAL:REMOTE or :REMOTE, each up to {_PORT_MAX}")
    return local, remote


class Forwarding:
    """Listens while it is open (`async with`). `ports`: (local, remote), in the order in which they were asked for."""

    def __init__(self, connect: Connect, ports: Sequence[int | str], address: str, told: Told) -> None:
        if not ports:
            raise ValueError("port_forward: name a port")
        self._asked = [parse_port(port) for port in ports]
        self._connect, self._address, self._told = connect, address, told
        self._servers: list[asyncio.Server] = []
        self._open: set[asyncio.Task[None]] = set()
        self.ports: list[tuple[int, int]] = []

    async def __aenter__(self) -> Forwarding:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Raises RaypodError for a port that cannot be listened on: then on none."""
        try:
            for local, remote in self._asked:
                self.ports.append((await self._listen(local, remote), remote))
        except OSError as error:
            await self.close()
            raise RaypodError(
                f"cannot listen on {self._address} for {local}:{remote}: {error.strerror or error}"
            ) from error

    async def close(self) -> None:
        """Connections are cut off. Once more does nothing."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _listen(self, local: int, remote: int) -> int:
        """`localhost` is both of its addresses, where the machine has both."""
        first, *others = _LOCALHOST if self._address == "localhost" else (self._address,)
        server = await asyncio.start_server(lambda r, w: self._accept(remote, r, w), first, local, backlog=512)
        self._servers.append(server)
        port = int(server.sockets[0].getsockname()[1])
        for address in others:
            with suppress(OSError):
                self._servers.append(
                    await asyncio.start_server(lambda r, w: self._accept(remote, r, w), address, port, backlog=512)
                )
        return port

    async def _accept(self, remote: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            socket = await self._connect(remote)
            try:
                await _carry(socket, reader, writer)
            finally:
                await socket.close()
        except RaypodError as error:
            self._told(str(error))
        except (OSError, aiohttp.ClientError):
            self._told(f"a connection to port {remote} was lost")
        except asyncio.CancelledError:
            return  # it is closed; asyncio's server would tell of it
        finally:
            self._open.discard(task)
            writer.close()


async def _carry(
    socket: aiohttp.ClientWebSocketResponse, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Until both sides have said all they had, or one has gone. Raises RaypodError in the words of the other side."""
    saying = asyncio.create_task(_say(socket, reader))
    try:
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
                continue
            channel = message.data[0]
            if channel == _DATA_OUT:
                writer.write(message.data[1:])
                await writer.drain()
            elif channel == _CLOSE:
                writer.write_eof()
                await asyncio.wait([saying])
                return
            elif channel == _ERROR:
                raise RaypodError(message.data[1:].decode(errors="replace"))
    except ConnectionError:
        return  # who asked has gone
    finally:
        saying.cancel()
        await asyncio.gather(saying, return_exceptions=True)


async def _say(socket: aiohttp.ClientWebSocketResponse, reader: asyncio.StreamReader) -> None:
    with suppress(ConnectionError, aiohttp.ClientError):
        while data := await reader.read(_PIECE_BYTES):
            await socket.send_bytes(bytes([_DATA_IN]) + data)
        await socket.send_bytes(bytes([_CLOSE, _DATA_IN]))

"""Streams and connections in memory: a process that does what its `Script` says, a peer that says everything back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from actors.plugins.runtime.errors import runtime_error
from actors.plugins.runtime.port import CHUNK_BYTES_MAX, STDERR, STDOUT

if TYPE_CHECKING:
    from actors.plugins.runtime.fake import Script

#: As long as so much is unread, nothing more is taken.
_UNREAD_MAX = 64 << 10


class Channel:
    """Bytes from one end to another, bounded. `None` in the queue is the end."""

    def __init__(self) -> None:
        self._chunks: list[tuple[int, bytes] | None] = []
        self._changed = asyncio.Event()

    async def put(self, channel: int, data: bytes) -> None:
        while sum(len(chunk[1]) for chunk in self._chunks if chunk) >= _UNREAD_MAX:
            await self._wait()
        self._chunks += [(channel, data[at : at + CHUNK_BYTES_MAX]) for at in range(0, len(data), CHUNK_BYTES_MAX)]
        self._changed.set()

    def end(self) -> None:
        self._chunks.append(None)
        self._changed.set()

    async def take(self) -> tuple[int, bytes] | None:
        while not self._chunks:
            await self._wait()
        found = self._chunks[0]
        if found is not None:
            del self._chunks[0]
        self._changed.set()
        return found

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()


class FakeProcess:
    """Streams. It prints, then says its input back if the script wants that, then exits; FOREVER: when let go."""

    def __init__(self, script: Script, *, stdin: bool, tty: bool, forever: bool) -> None:
        self._script, self._tty, self._forever = script, tty, forever
        self._input, self._output = Channel(), Channel()
        self._exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.size = (0, 0)
        self._has_stdin = stdin
        self._life = asyncio.create_task(self._live())

    async def _live(self) -> None:
        end = "\r\n" if self._tty else "\n"
        for line in self._script.stdout:
            await self._output.put(STDOUT, f"{line}{end}".encode())
        for line in self._script.stderr:
            await self._output.put(STDOUT if self._tty else STDERR, f"{line}{end}".encode())
        if self._script.echo and self._has_stdin:
            while (found := await self._input.take()) is not None:
                await self._output.put(STDOUT, found[1])
        if not self._forever:
            self.end(self._script.exit_code)

    def end(self, code: int) -> None:
        """It, or what it is attached to, has exited."""
        if not self._exited.done():
            self._exited.set_result(code)
        self._output.end()

    async def read(self) -> tuple[int, bytes] | None:
        return await self._output.take()

    async def write(self, data: bytes) -> None:
        if not self._exited.done():
            await self._input.put(STDOUT, data)

    async def close_stdin(self) -> None:
        if not self._tty:
            self._input.end()

    async def resize(self, width: int, height: int) -> None:
        self.size = (width, height) if self._tty else self.size

    async def wait(self) -> int:
        return await asyncio.shield(self._exited)

    async def close(self) -> None:
        self._life.cancel()
        if not self._exited.done():
            self._exited.set_exception(runtime_error("exec", "RuntimeUnavailable", "the process was let go"))
            self._exited.exception()
        self._output.end()


class FakeConnection:
    """Connection to a peer that echoes."""

    def __init__(self) -> None:
        self._echo = Channel()

    async def read(self) -> bytes:
        found = await self._echo.take()
        return found[1] if found else b""

    async def write(self, data: bytes) -> None:
        await self._echo.put(STDOUT, data)

    async def close_write(self) -> None:
        self._echo.end()

    async def close(self) -> None:
        self._echo.end()

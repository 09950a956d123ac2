"""`attach` of the native runtime: the standard streams of a container's own process, by way of the launcher's worker.

A worker that is replaced hangs up; then this joins the next one, and the client notices nothing but what was said in
between, which only the log has.
"""

from __future__ import annotations

import asyncio
import json
import socket

from actors.plugins.errors import PluginError
from actors.plugins.runtime.client import LauncherClient
from actors.plugins.runtime.descriptors import readable, writable
from actors.plugins.runtime.errors import UNKNOWN_CODE, runtime_error
from actors.plugins.runtime.launcher.audience import CLOSE, END, RESIZE, STDIN
from actors.plugins.runtime.port import CHUNK_BYTES_MAX

_MESSAGE_BYTES_MAX = (64 << 10) + 1


async def join_container(launcher: LauncherClient, container_id: str, *, stdin: bool) -> NativeAttachment:
    """Raises PluginError."""
    attachment = NativeAttachment(launcher, container_id, stdin=stdin)
    await attachment.join()
    return attachment


class NativeAttachment:
    """Streams."""

    def __init__(self, launcher: LauncherClient, container_id: str, *, stdin: bool) -> None:
        self._launcher, self._id, self._stdin = launcher, container_id, stdin
        self._line: socket.socket | None = None
        self._joining = asyncio.Lock()
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def join(self) -> None:
        """Raises PluginError: NotRunning."""
        line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        line.setblocking(False)
        try:
            await self._launcher.call_with({"line": theirs.fileno()}, "attach", id=self._id, stdin=self._stdin)
        except BaseException:
            line.close()
            raise
        finally:
            theirs.close()
        self._line = line

    async def _rejoin(self, lost: socket.socket) -> None:
        """Raises PluginError."""
        async with self._joining:
            if self._line is not lost or self._ended.done():
                return
            lost.close()
            self._line = None
            try:
                await self.join()
            except PluginError as error:
                if error.reason not in ("NotRunning", "NotFound"):
                    raise
                self._ended.set_result(UNKNOWN_CODE)

    async def read(self) -> tuple[int, bytes] | None:
        while not self._ended.done():
            line = self._line
            if line is None:
                return None
            try:
                message = line.recv(_MESSAGE_BYTES_MAX)
            except BlockingIOError:
                await readable(line.fileno())
                continue
            except OSError:
                message = b""
            if not message:
                await self._rejoin(line)
            elif message[0] == END:
                self._ended.set_result(int(json.loads(message[1:])["exit"]))
            else:
                return message[0], message[1:]
        return None

    async def write(self, data: bytes) -> None:
        for at in range(0, len(data), CHUNK_BYTES_MAX):
            await self._send(STDIN, data[at : at + CHUNK_BYTES_MAX])

    async def close_stdin(self) -> None:
        await self._send(CLOSE, b"")

    async def resize(self, width: int, height: int) -> None:
        await self._send(RESIZE, json.dumps([width, height]).encode())

    async def _send(self, channel: int, data: bytes) -> None:
        while (line := self._line) is not None and not self._ended.done():
            try:
                line.send(bytes([channel]) + data)
            except BlockingIOError:
                await writable(line.fileno())
            except OSError:
                await self._rejoin(line)
            else:
                return

    async def wait(self) -> int:
        return await asyncio.shield(self._ended)

    async def close(self) -> None:
        """The container runs on."""
        if self._line is not None:
            self._line.close()
            self._line = None
        if not self._ended.done():
            self._ended.set_exception(runtime_error("attach", "RuntimeUnavailable", "the container was let go"))
            self._ended.exception()

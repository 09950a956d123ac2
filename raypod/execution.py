"""A command in a running container, by way of the API: `pods/NAME/exec` over a WebSocket, v5.channel.k8s.io."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import aiohttp
import msgspec

from raypod.api import ApiClient
from raypod.errors import RaypodError, error_from_status

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
_PIECE_BYTES = 32 << 10


class ExecResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a command said, and its exit code."""

    exit_code: int
    stdout: bytes = b""
    stderr: bytes = b""


class Execution:
    """A command under way. `read` gives (STDOUT or STDERR, bytes) until it has ended; then `exit_code` is known."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self.exit_code = -1

    async def read(self) -> AsyncIterator[tuple[int, bytes]]:
        """Raises RaypodError when the command could not be started, or nobody knows how it ended."""
        async for message in self._socket:
            if message.type is not aiohttp.WSMsgType.BINARY or not message.data:
                continue
            channel, data = message.data[0], message.data[1:]
            if channel == ERROR:
                self.exit_code = _exit_code(json.loads(data))
                return
            if data:
                yield channel, data
        raise RaypodError("the connection to the container was lost: what became of the command is not known")

    async def write(self, data: bytes) -> None:
        """To its standard input. What it no longer reads is lost."""
        for at in range(0, len(data), _PIECE_BYTES):
            await self._send(STDIN, data[at : at + _PIECE_BYTES])

    async def close_stdin(self) -> None:
        await self._send(CLOSE, bytes([STDIN]))

    async def resize(self, width: int, height: int) -> None:
        await self._send(RESIZE, json.dumps({"Width": width, "Height": height}).encode())

    async def _send(self, channel: int, data: bytes) -> None:
        try:
            await self._socket.send_bytes(bytes([channel]) + data)
        except (ConnectionError, aiohttp.ClientError):
            return  # how it ended is what `read` tells

    async def close(self) -> None:
        """A command that still runs is killed."""
        await self._socket.close()


def _exit_code(status: dict[str, Any]) -> int:
    """Raises RaypodError for a command that could not be started."""
    if status.get("status") == "Success":
        return 0
    causes = (status.get("details") or {}).get("causes") or ()
    for cause in causes:
        if status.get("reason") == "NonZeroExitCode" and cause.get("reason") == "ExitCode":
            return int(cause["message"])
    raise error_from_status(status)


async def open_execution(
    api: ApiClient, pod_path: str, command: Sequence[str], *, stdin: bool = False, tty: bool = False
) -> Execution:
    """In the pod's first container. Raises NotFound, Forbidden, BadRequest."""
    if not command:
        raise ValueError("exec: name a command")
    params = [("command", word) for word in command]
    flags = {"stdin": stdin, "stdout": True, "stderr": not tty, "tty": tty}
    params += [(name, "true") for name, wanted in flags.items() if wanted]
    return Execution(await api.websocket(f"{pod_path}/exec", params, "v5.channel.k8s.io"))


async def run_to_end(execution: Execution, data: bytes | None) -> ExecResult:
    """With `data` as its whole input."""
    said = {STDOUT: bytearray(), STDERR: bytearray()}
    feeding = asyncio.create_task(_feed(execution, data))
    try:
        async for channel, text in execution.read():
            said[channel] += text
    finally:
        feeding.cancel()
        await execution.close()
    return ExecResult(exit_code=execution.exit_code, stdout=bytes(said[STDOUT]), stderr=bytes(said[STDERR]))


async def _feed(execution: Execution, data: bytes | None) -> None:
    if data is not None:
        await execution.write(data)
        await execution.close_stdin()

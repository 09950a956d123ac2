"""Streams of a running container by way of the API: `pods/NAME/exec` and `attach`, v5.channel.k8s.io."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import aiohttp
import msgspec

from raypod.api import ApiClient
from raypod.errors import CommandNotStarted, RaypodError, error_from_status

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
_PROTOCOL = "v5.channel.k8s.io"
_PIECE_BYTES = 256 << 10
_NOT_STARTED = "Internal error occurred: error executing command in container: "


class ExecResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a command said, and its exit code."""

    exit_code: int
    stdout: bytes = b""
    stderr: bytes = b""


class Execution:
    """A command under way, or a container that is attached to. `read` gives (STDOUT or STDERR, bytes) until it has
    ended; then a command's `exit_code` is known."""

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
        """A command that still runs is killed; what was attached to runs on."""
        await self._socket.close()

    aclose = close


def _exit_code(status: dict[str, Any]) -> int:
    """Raises CommandNotStarted, ApiError."""
    if status.get("status") == "Success":
        return 0
    causes = (status.get("details") or {}).get("causes") or ()
    code = next((int(cause["message"]) for cause in causes if cause.get("reason") == "ExitCode"), None)
    if code is None:
        raise error_from_status(status)
    if status.get("reason") != "NonZeroExitCode":
        raise CommandNotStarted(str(status.get("message")).removeprefix(_NOT_STARTED), code)
    return code


async def open_execution(
    api: ApiClient, pod_path: str, command: Sequence[str], *, stdin: bool = False, tty: bool = False
) -> Execution:
    """In the pod's first container. Raises NotFound, Forbidden, BadRequest."""
    if not command:
        raise ValueError("exec: name a command")
    params = [("command", word) for word in command]
    params += _flags(stdin=stdin, stdout=True, stderr=not tty, tty=tty)
    return Execution(await api.websocket(f"{pod_path}/exec", params, _PROTOCOL))


async def open_attachment(
    api: ApiClient, pod_path: str, *, stdin: bool = False, output: bool = True, tty: bool = False
) -> Execution:
    """To the own process of the pod's first container, from now on. Raises NotFound, Forbidden, BadRequest."""
    params = _flags(stdin=stdin, stdout=output, stderr=output and not tty, tty=tty)
    return Execution(await api.websocket(f"{pod_path}/attach", params, _PROTOCOL))


def _flags(**flags: bool) -> list[tuple[str, str]]:
    return [(name, "true") for name, wanted in flags.items() if wanted]


async def run_to_end(execution: Execution, data: bytes | None) -> ExecResult:
    """With `data` as its whole input."""
    said = {STDOUT: bytearray(), STDERR: bytearray()}
    try:
        async for channel, text in talk(execution, data):
            said[channel] += text
    finally:
        await execution.close()
    return ExecResult(exit_code=execution.exit_code, stdout=bytes(said[STDOUT]), stderr=bytes(said[STDERR]))


async def talk(execution: Execution, data: bytes | None) -> AsyncIterator[tuple[int, bytes]]:
    """What it says, while it is given `data` and then the end of its input. Raises as `read`."""
    feeding = asyncio.create_task(_feed(execution, data))
    try:
        async for said in execution.read():
            yield said
    finally:
        feeding.cancel()


async def _feed(execution: Execution, data: bytes | None) -> None:
    if data is not None:
        await execution.write(data)
        await execution.close_stdin()

"""One stream at work: what a process says goes out as frames, what comes in goes to it, until one of them ends."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from actors.api.errors import ApiError, Cause, InternalError
from actors.api.streams import (
    CLOSE,
    ERROR,
    EXIT_CODE,
    PING,
    RESIZE,
    STDERR,
    STDIN,
    STDOUT,
    StreamRequest,
    exit_status,
    parse_size,
    success_status,
)
from actors.nodelet.streams.frames import Frames, first_of
from actors.plugins.errors import PluginError
from actors.plugins.runtime.port import Connection, Streams

#: A client that has gone is noticed by what it is sent.
_PING_SECONDS = 30.0


async def serve_process(frames: Frames, request: StreamRequest, streams: Streams) -> None:
    """Until the process has ended and all it said is sent, or the client has gone; then it is let go.

    Its end is told on ERROR: the exit code, or why that is not known.
    """
    try:
        await first_of(_send_output(frames, request, streams), _take_input(frames, streams), _ping(frames))
    finally:
        await streams.close()


async def serve_connection(frames: Frames, connection: Connection) -> None:
    """STDIN goes there, STDOUT comes from there; either direction may end before the other."""
    try:
        await first_of(_receive(frames, connection), _forward(frames, connection), _ping(frames))
    finally:
        await connection.close()


def failure_status(error: ApiError | PluginError) -> dict[str, Any]:
    """Of what could not be started, in the kubelet's words; with the exit code that a shell would answer as a further
    cause, which kubectl does not look at."""
    if isinstance(error, ApiError):
        return error.to_status()
    if error.verb == "port_forward":
        return InternalError(error.message).to_status()
    words = f"error executing command in container: {error.message}"
    causes = [Cause("", words, "")]
    if error.exit_code:
        causes.append(Cause("", str(error.exit_code), EXIT_CODE))
    return InternalError(f"Internal error occurred: {words}", causes=causes).to_status()


async def send_status(frames: Frames, status: dict[str, Any]) -> None:
    await frames.write(ERROR, msgspec.json.encode(status))


async def _send_output(frames: Frames, request: StreamRequest, streams: Streams) -> None:
    wanted = {channel for channel, asked in ((STDOUT, request.stdout), (STDERR, request.stderr)) if asked}
    while (found := await streams.read()) is not None:
        channel, data = found
        if channel in wanted:
            await frames.write(channel, data)
    try:
        code = await streams.wait()
    except PluginError as error:
        await send_status(frames, failure_status(error))
    else:
        await send_status(frames, success_status() if request.verb == "attach" else exit_status(code))


async def _take_input(frames: Frames, streams: Streams) -> None:
    while (found := await frames.read()) is not None:
        channel, payload = found
        if channel == STDIN:
            await streams.write(payload)
        elif channel == CLOSE and payload == bytes([STDIN]):
            await streams.close_stdin()
        elif channel == RESIZE and (size := parse_size(payload)) is not None:
            await streams.resize(*size)


async def _receive(frames: Frames, connection: Connection) -> None:
    """The client decides when it is over: it may still be heard by who no longer speaks."""
    while data := await connection.read():
        await frames.write(STDOUT, data)
    await frames.write(CLOSE, bytes([STDOUT]))
    await asyncio.Event().wait()


async def _forward(frames: Frames, connection: Connection) -> None:
    while (found := await frames.read()) is not None:
        channel, payload = found
        if channel == STDIN:
            try:
                await connection.write(payload)
            except OSError:
                continue  # it no longer listens; it may still speak
        elif channel == CLOSE:
            await connection.close_write()


async def _ping(frames: Frames) -> None:
    while True:
        await asyncio.sleep(_PING_SECONDS)
        await frames.write(PING)

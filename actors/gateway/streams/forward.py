"""One forwarded connection: between something near and a port within a pod, until both have said all they had."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from actors.api.errors import ApiError
from actors.api.streams import CLOSE, ERROR, STDIN, STDOUT, split_payload
from actors.nodelet.streams.frames import Frames

Dial = Callable[[], Awaitable[Frames]]


class Near(Protocol):
    """The client's end."""

    async def read(self) -> bytes:
        """b"" when it says nothing more."""
        ...

    async def write(self, data: bytes) -> None:
        """Raises ConnectionError."""
        ...

    async def close(self) -> None:
        """Nothing more is said to it."""
        ...


async def forward(dial: Dial, near: Near) -> str:
    """Why it could not be; "" when all went well."""
    try:
        frames = await dial()
    except ApiError as error:
        return error.message
    taking = asyncio.create_task(_take(frames, near))
    try:
        return await _give(frames, near, taking)
    except ConnectionError:
        return ""
    finally:
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
        await frames.close()


async def _take(frames: Frames, near: Near) -> None:
    """Raises ConnectionError."""
    while data := await near.read():
        for piece in split_payload(data):
            await frames.write(STDIN, piece)
    await frames.write(CLOSE, bytes([STDIN]))


async def _give(frames: Frames, near: Near, taking: asyncio.Task[None]) -> str:
    while (found := await frames.read()) is not None:
        channel, payload = found
        if channel == STDOUT:
            await near.write(payload)
        elif channel == ERROR:
            return str(msgspec.json.decode(payload).get("message", ""))
        elif channel == CLOSE:
            await near.close()
            await taking
            return ""
    return "the node has gone"

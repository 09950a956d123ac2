"""A hostile client on one SPDY connection: what it opens is bounded, and others have their turn meanwhile."""

from __future__ import annotations

import asyncio
import struct

from actors.gateway.spdy.headers import HeaderCoder
from actors.gateway.streams.spdy import STREAMS_MAX, SpdyConnection


class Wire:
    """All at once, then the end."""

    def __init__(self, data: bytes) -> None:
        self._pieces, self.sent = [data, b""], b""

    async def receive(self) -> bytes:
        return self._pieces.pop(0)

    async def send(self, data: bytes) -> None:
        self.sent += data


def _control(kind: int, payload: bytes) -> bytes:
    return struct.pack(">HHI", 0x8003, kind, len(payload)) + payload


def test_streams_that_are_opened_and_reset_are_not_kept_for_ever() -> None:
    """Nobody accepts them: a process has all it needs."""
    coder, text = HeaderCoder(), b""
    for number in range(1, 2 * STREAMS_MAX + 201, 2):
        text += _control(1, struct.pack(">IIH", number, 0, 0) + coder.encode({"streamtype": "x"}))
        text += _control(3, struct.pack(">II", number, 5))

    async def run() -> tuple[int, bytes]:
        wire = Wire(text)
        connection = SpdyConnection(wire)
        await connection.run()
        count = 0
        while await connection.accept() is not None:
            count += 1
        return count, wire.sent

    count, sent = asyncio.run(run())
    assert count == STREAMS_MAX
    assert sent.count(struct.pack(">HHI", 0x8003, 3, 8)) == 100, "the others are refused"


def test_a_million_pings_do_not_hold_up_the_others() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def run() -> None:
        counting = asyncio.create_task(count())
        await SpdyConnection(Wire(_control(6, struct.pack(">I", 1)) * 100_000)).run()
        counting.cancel()

    asyncio.run(run())
    assert turns > 10

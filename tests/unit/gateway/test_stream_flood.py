"""Many small messages of one WebSocket: each is heard, pings are answered, and others have their turn meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import WSMessage, WSMsgType

from actors.gateway.streams.websocket import heard


class Socket:
    """All that is said is there at once."""

    def __init__(self, messages: list[WSMessage]) -> None:
        self._messages = messages
        self.pongs: list[bytes] = []

    async def __aiter__(self) -> AsyncIterator[WSMessage]:
        for message in self._messages:
            yield message

    async def pong(self, data: bytes) -> None:
        self.pongs.append(data)


def test_pings_are_answered_and_do_not_hold_up_the_others() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def run() -> tuple[list[Any], int]:
        counting = asyncio.create_task(count())
        socket: Any = Socket([message(WSMsgType.PING, b"1"), message(WSMsgType.PONG, b"")] * 1000)
        socket._messages.append(message(WSMsgType.BINARY, b"said"))
        said = [one.data async for one in heard(socket)]
        counting.cancel()
        return said, len(socket.pongs)

    assert asyncio.run(run()) == ([b"said"], 1000)
    assert turns > 20


def message(kind: WSMsgType, data: bytes) -> Any:
    return WSMessage(kind, data, None)

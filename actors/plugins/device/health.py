"""Health changes, from the one that sees them to everyone who listens. Lives on the event loop.

A listener gets what is published after it subscribed, in order, and ends when the feed is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from actors.plugins.device.port import Device


class HealthFeed:
    """Every subscriber has a queue of its own: a slow one delays nobody."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[Device | None]] = set()
        self._closed = False

    def publish(self, device: Device) -> None:
        for queue in self._queues:
            queue.put_nowait(device)

    def subscribe(self) -> AsyncIterator[Device]:
        """Subscribed when this returns, not only when the first item is asked for."""
        queue: asyncio.Queue[Device | None] = asyncio.Queue()
        if self._closed:
            queue.put_nowait(None)
        self._queues.add(queue)
        return self._drain(queue)

    def close(self) -> None:
        self._closed = True
        for queue in self._queues:
            queue.put_nowait(None)

    async def _drain(self, queue: asyncio.Queue[Device | None]) -> AsyncIterator[Device]:
        try:
            while (device := await queue.get()) is not None:
                yield device
        finally:
            self._queues.discard(queue)

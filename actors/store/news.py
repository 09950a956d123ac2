"""Waiting for changes, by topic: a change of one node's pod wakes that node's watcher and no other's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Protocol

from actors.reconcile.watch import Selection, WatchBatch
from actors.store.matching import matcher_of


class Readable(Protocol):
    """An engine, or whatever else holds a log."""

    @property
    def revision(self) -> int: ...

    def changes(self, selection: Selection, since: int) -> WatchBatch:
        """Raises Expired, BadRequest."""
        ...


class News:
    """Used within one event loop."""

    def __init__(self) -> None:
        self._events: dict[str, set[asyncio.Event]] = {}
        self._ended = False

    def tell(self, topics: Iterable[str]) -> None:
        for topic in topics:
            for event in self._events.pop(topic, ()):
                event.set()

    def tell_all(self) -> None:
        self.tell(list(self._events))

    def end(self) -> None:
        """Nobody waits any longer."""
        self._ended = True
        self.tell_all()

    async def wait_changes(self, log: Readable, selection: Selection, since: int, timeout_ms: int) -> WatchBatch:
        """The changes after `since`; waits for the first one. Raises Expired, BadRequest."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_ms / 1000
        topics = matcher_of(selection).topics
        while True:
            batch = log.changes(selection, since)
            left = deadline - loop.time()
            if batch.events or left <= 0 or self._ended:
                return batch
            if batch.revision < log.revision:
                await asyncio.sleep(0)
            else:
                await self._wait(topics, left)
            since = batch.revision

    async def _wait(self, topics: Iterable[str], timeout_seconds: float) -> None:
        event = asyncio.Event()
        for topic in topics:
            self._events.setdefault(topic, set()).add(event)
        try:
            async with asyncio.timeout(timeout_seconds):
                await event.wait()
        except TimeoutError:
            return
        finally:
            for topic in topics:
                self._forget(topic, event)

    def _forget(self, topic: str, event: asyncio.Event) -> None:
        waiting = self._events.get(topic)
        if waiting is not None:
            waiting.discard(event)
            if not waiting:
                del self._events[topic]

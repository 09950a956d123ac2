"""Which items are due: each at most once, some later, failing ones ever later. Order is due time, then arrival.

Pure: the clock is an argument, ties are broken by a counter, never by hash or identity. A clock that is set back makes
everything due: asking too early does no harm, waiting for the old time to come again does.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from typing import Generic, TypeVar

from actors.api.clock import Millis
from actors.reconcile.backoff import Backoff

Item = TypeVar("Item", bound=Hashable)


class WorkQueue(Generic[Item]):
    def __init__(self, backoff: Backoff | None = None) -> None:
        self._backoff = backoff or Backoff()
        self._due: dict[Item, tuple[Millis, int]] = {}
        self._heap: list[tuple[Millis, int, Item]] = []
        self._failures: dict[Item, int] = {}
        self._arrivals = 0
        self._now_ms: Millis = 0

    def __len__(self) -> int:
        return len(self._due)

    def add(self, item: Item, at: Millis) -> None:
        """Due at `at`, or earlier when it already was."""
        known = self._due.get(item)
        if known is not None and known[0] <= at:
            return
        self._arrivals += 1
        self._due[item] = (at, self._arrivals)
        heapq.heappush(self._heap, (at, self._arrivals, item))

    def fail(self, item: Item, now: Millis) -> Millis:
        """Due again after its back-off, which grows with each failure until `forget`. Returns the delay."""
        self._failures[item] = self._failures.get(item, 0) + 1
        delay_ms = self._backoff.delay_ms(self._failures[item])
        self.add(item, now + delay_ms)
        return delay_ms

    def forget(self, item: Item) -> None:
        """It succeeded: its next failure is the first again."""
        self._failures.pop(item, None)

    def failures(self, item: Item) -> int:
        return self._failures.get(item, 0)

    def pop(self, now: Millis) -> Item | None:
        """The next item that is due, or None."""
        if now < self._now_ms:
            for item in list(self._due):
                self.add(item, now)
        self._now_ms = now
        self._drop_stale()
        if not self._heap or self._heap[0][0] > now:
            return None
        item = heapq.heappop(self._heap)[2]
        del self._due[item]
        return item

    def next_at(self) -> Millis | None:
        self._drop_stale()
        return self._heap[0][0] if self._heap else None

    def clear(self) -> None:
        self._due.clear()
        self._heap.clear()
        self._failures.clear()

    def _drop_stale(self) -> None:
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][:2]:
            heapq.heappop(self._heap)

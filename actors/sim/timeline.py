"""Virtual time: what happens when, in one total order. Ties are settled by the order of asking."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from actors.api.clock import Millis

Step = Callable[[], None]
#: Where simulated time begins: 2026-01-01T00:00:00Z.
EPOCH_MS: Millis = 1_767_225_600_000


class Timeline:
    def __init__(self, now: Millis = EPOCH_MS) -> None:
        self.now = now
        self._steps: list[tuple[Millis, int, Step]] = []
        self._count = 0

    def after(self, delay_ms: Millis, step: Step) -> None:
        self._count += 1
        heapq.heappush(self._steps, (self.now + max(delay_ms, 0), self._count, step))

    def run_until(self, end: Millis, steps_max: int = 1_000_000) -> None:
        """Take every step up to `end`. Raises RuntimeError when they do not end: something answers itself at once."""
        for _ in range(steps_max):
            if not self._steps or self._steps[0][0] > end:
                self.now = max(self.now, end)
                return
            self.now, _, step = heapq.heappop(self._steps)
            step()
        raise RuntimeError(f"more than {steps_max} steps before {end}: a core is never content")


class Clock:
    """What one machine believes the time to be. It may be wrong, and it may jump: `has_jumped` tells that it has."""

    def __init__(self, timeline: Timeline, ahead_ms: Millis = 0) -> None:
        self._timeline, self._ahead_ms = timeline, ahead_ms
        self.has_jumped = False

    def now(self) -> Millis:
        return self._timeline.now + self._ahead_ms

    def jump(self, by_ms: Millis) -> None:
        self._ahead_ms += by_ms
        self.has_jumped = True

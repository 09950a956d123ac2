"""How many requests a second a client may send: a token bucket each. Pure; off at 0."""

from __future__ import annotations

from actors.api.clock import Millis

_CLIENTS_MAX = 10_000


class RateLimits:
    """`burst` 0: as many at once as come in two seconds."""

    def __init__(self, per_second: float, burst: int = 0) -> None:
        self.per_second = per_second
        self._burst = float(burst or max(1.0, 2 * per_second))
        self._buckets: dict[str, tuple[float, Millis]] = {}

    def take(self, client: str, now: Millis) -> Millis:
        """0: it may; else how long it should wait. A client of whom nothing is known has a full bucket."""
        if not self.per_second:
            return 0
        left, at = self._buckets.get(client, (self._burst, now))
        left = min(self._burst, left + max(0, now - at) * self.per_second / 1000)
        if len(self._buckets) >= _CLIENTS_MAX:
            self._buckets.clear()
        if left < 1:
            self._buckets[client] = (left, now)
            return max(1, int(1000 * (1 - left) / self.per_second))
        self._buckets[client] = (left - 1, now)
        return 0

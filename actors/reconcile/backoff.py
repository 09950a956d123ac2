"""How long to wait after the nth failure in a row: doubling from the first delay to a ceiling. Pure, no jitter."""

from __future__ import annotations

import msgspec

from actors.api.clock import Millis


class Backoff(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    first_ms: Millis = 100
    most_ms: Millis = 30_000

    def delay_ms(self, failures: int) -> Millis:
        """After `failures` in a row, of which the first is 1."""
        doublings = min(max(failures - 1, 0), 40)
        return min(self.first_ms << doublings, self.most_ms)

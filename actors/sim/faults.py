"""What goes wrong, drawn from one seed. `calm` ends all of it, so that convergence can be checked.

The kinds are those that real clusters show: lost and late messages, lagging watches, relists, crashes between any
two calls of a core, repeated commits, torn log writes, node deaths, clock jumps, slow and failing plugin calls.
"""

from __future__ import annotations

import random

import msgspec

from actors.api.clock import Millis


class FaultRates(msgspec.Struct, frozen=True, kw_only=True):
    """Probabilities per occasion."""

    request_lost: float = 0.02
    reply_lost: float = 0.03
    commit_repeated: float = 0.05
    watch_lag: float = 0.3
    watch_expired: float = 0.01
    core_crash: float = 0.004
    store_crash: float = 0.003
    torn_write: float = 0.5
    plugin_failure: float = 0.03
    plugin_slow: float = 0.05
    result_lost: float = 0.01
    nodelet_crash: float = 0.004
    launcher_event_lost: float = 0.05


CALM = FaultRates(**dict.fromkeys(FaultRates.__struct_fields__, 0.0))


class Faults:
    def __init__(self, seed: int, rates: FaultRates | None = None) -> None:
        self.random = random.Random(f"faults/{seed}")
        self.rates = rates or FaultRates()
        self.counts: dict[str, int] = {}

    def strikes(self, name: str) -> bool:
        """Whether the fault of this name happens now."""
        if self.random.random() >= getattr(self.rates, name):
            return False
        self.counts[name] = self.counts.get(name, 0) + 1
        return True

    def delay(self, low_ms: Millis, high_ms: Millis) -> Millis:
        return self.random.randint(low_ms, high_ms)

    def calm(self) -> None:
        self.rates = CALM

"""What goes wrong by chance, drawn from one seed. `calm` ends all of it, so that convergence can be checked.

The kinds are those that real clusters show: lost, late and repeated messages, lagging watches, relists, crashes
between any two calls of a core, torn log writes, plugins that are slow, fail, or fail after having done their work.
What happens on a date of its own (node deaths, partitions, clock jumps) is in `trouble`.
"""

from __future__ import annotations

import random

import msgspec

from actors.api.clock import Millis

#: Each seed makes every kind of fault rarer, as common, or more common: some defects need a fault to be absent.
_SWARM = (0.0, 0.3, 1.0, 1.0, 3.0)


class FaultRates(msgspec.Struct, frozen=True, kw_only=True):
    """Probabilities per occasion."""

    request_lost: float = 0.02
    request_slow: float = 0.02
    reply_lost: float = 0.03
    reply_slow: float = 0.05
    commit_repeated: float = 0.05
    watch_lag: float = 0.2
    watch_expired: float = 0.02
    core_crash: float = 0.004
    nodelet_crash: float = 0.004
    store_crash: float = 0.003
    torn_write: float = 0.5
    disk_failure: float = 0.002
    plugin_failure: float = 0.04
    plugin_late_failure: float = 0.5
    plugin_slow: float = 0.05
    result_lost: float = 0.01
    result_slow: float = 0.03
    result_repeated: float = 0.02
    launcher_event_lost: float = 0.05


CALM = FaultRates(**dict.fromkeys(FaultRates.__struct_fields__, 0.0))


def draw_rates(seed: int) -> FaultRates:
    """The fault rates of one seed."""
    random_ = random.Random(f"rates/{seed}")
    usual = msgspec.structs.asdict(FaultRates())
    return FaultRates(**{name: min(rate * random_.choice(_SWARM), 0.9) for name, rate in usual.items()})


class Faults:
    def __init__(self, seed: int, rates: FaultRates) -> None:
        self.random = random.Random(f"faults/{seed}")
        self.rates = rates
        self.counts: dict[str, int] = {}

    def strikes(self, name: str) -> bool:
        """Whether the fault of this name happens now."""
        rate: float = getattr(self.rates, name)
        if not rate or self.random.random() >= rate:
            return False
        self.note(name)
        return True

    def note(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1

    def delay(self, low_ms: Millis, high_ms: Millis) -> Millis:
        return self.random.randint(low_ms, high_ms)

    def calm(self) -> None:
        self.rates = CALM

"""From counters that only grow to rates: what was used on average since a reading that is old enough. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from actors.api.clock import Millis
from actors.api.usage import Usage

#: The least time to tell a rate from, where there is as much; metrics-server's default resolution is 15 s.
WINDOW_MS = 10_000


class Reading(msgspec.Struct, frozen=True):
    """CPU nanoseconds used until `at_ms`, and the memory held then."""

    at_ms: Millis
    cpu_ns: int
    memory_bytes: int = 0


class Meter:
    """Of many things, each under a name that is never used again. The last two readings of each are kept."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Reading, ...]] = {}

    def read(self, readings: Mapping[str, Reading], started_ms: Mapping[str, Millis]) -> dict[str, Usage]:
        """What each used until its reading. `started_ms`: when a counter was 0, where that is known.

        Of what has no earlier reading nothing is told; what is read no more is forgotten.
        """
        usages, kept = {}, {}
        for name, reading in readings.items():
            known = self._kept.get(name) or _beginning(started_ms.get(name))
            past = tuple(one for one in known if one.at_ms < reading.at_ms and one.cpu_ns <= reading.cpu_ns)
            if past:
                usages[name] = _usage(_since(past, reading), reading)
            kept[name] = _advance(past, reading)
        self._kept = kept
        return usages


def _beginning(started_ms: Millis | None) -> tuple[Reading, ...]:
    return () if started_ms is None else (Reading(started_ms, 0),)


def _since(past: tuple[Reading, ...], reading: Reading) -> Reading:
    """The newest that is a window old, else the oldest."""
    return next((one for one in reversed(past) if reading.at_ms - one.at_ms >= WINDOW_MS), past[0])


def _advance(past: tuple[Reading, ...], reading: Reading) -> tuple[Reading, ...]:
    """Readings closer together than a window do not push an older one out."""
    if len(past) < 2 or reading.at_ms - past[-1].at_ms >= WINDOW_MS:
        return (*past[-1:], reading)
    return past


def _usage(since: Reading, reading: Reading) -> Usage:
    window = reading.at_ms - since.at_ms
    nanos = (reading.cpu_ns - since.cpu_ns) * 1_000 // window
    return Usage(at_ms=reading.at_ms, window_ms=window, cpu_nanos=nanos, memory_bytes=reading.memory_bytes)

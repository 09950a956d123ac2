"""What is counted of priority and fairness, as apiserver_flowcontrol_* (apiserver pkg/util/flowcontrol/metrics)."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Iterator

from actors.gateway.flow.queues import Level
from actors.gateway.flow.schemas import Flow
from actors.gateway.telemetry.series import Counter, Histogram, Labels, gauge

_PREFIX = "apiserver_flowcontrol"
_WHO = ("priority_level", "flow_schema")
_WAITS = (0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30)
_RUNS = (0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30)
QUEUE_FULL, NO_SEATS, TIME_OUT, CANCELLED = "queue-full", "concurrency-limit", "time-out", "cancelled"


class FlowMeter:
    def __init__(self) -> None:
        self.dispatched = Counter(f"{_PREFIX}_dispatched_requests_total", "Requests that began.", _WHO)
        self.rejected = Counter(f"{_PREFIX}_rejected_requests_total", "Requests turned away.", (*_WHO, "reason"))
        self.waits = Histogram(
            f"{_PREFIX}_request_wait_duration_seconds", "How long requests waited.", (*_WHO, "execute"), _WAITS
        )
        self.runs = Histogram(
            f"{_PREFIX}_request_execution_duration_seconds", "How long requests had their seats.",
            (*_WHO, "type"), _RUNS,
        )  # fmt: skip
        self._queued: Tally[Labels] = Tally()
        self._running: Tally[Labels] = Tally()
        self._seats: Tally[Labels] = Tally()

    def queued(self, who: Labels, change: int) -> None:
        self._queued[who] += change

    def began(self, who: Labels, seats: int, waited: float) -> None:
        self.dispatched.add(who)
        self.waits.observe((*who, "true"), waited)
        self._running[who] += 1
        self._seats[who] += seats

    def ended(self, who: Labels, seats: int, ran: float, *, is_watch: bool) -> None:
        self.runs.observe((*who, "watch" if is_watch else "regular"), ran)
        self._running[who] -= 1
        self._seats[who] -= seats

    def refused(self, who: Labels, reason: str, waited: float = 0) -> None:
        self.rejected.add((*who, reason))
        self.waits.observe((*who, "false"), waited)

    def series(self, levels: Iterable[Level]) -> Iterator[Counter | Histogram]:
        yield from (self.dispatched, self.rejected, self.waits, self.runs)
        for name, told, values in (
            ("current_inqueue_requests", "Requests that wait.", self._queued),
            ("current_executing_requests", "Requests that have seats.", self._running),
            ("current_executing_seats", "Seats that requests have.", self._seats),
        ):
            yield gauge(f"{_PREFIX}_{name}", told, values, _WHO)
        limited = [level for level in levels if level.limited is not None]
        for name, told, limits in (
            ("nominal_limit_seats", "A level's own seats.", [level.nominal for level in limited]),
            ("request_concurrency_limit", "A level's own seats.", [level.nominal for level in limited]),
            ("lower_limit_seats", "Those that it lends to nobody.", [lv.nominal - lv.lendable for lv in limited]),
            ("upper_limit_seats", "Those that it may have at most.", [lv.nominal + lv.borrowed_max for lv in limited]),
            ("current_limit_seats", "Those that it may have now.", [level.room() for level in limited]),
        ):
            by_level: dict[Labels, float] = {(lv.name,): limit for lv, limit in zip(limited, limits, strict=True)}
            yield gauge(f"{_PREFIX}_{name}", told, by_level, ("priority_level",))


def who_of(flow: Flow) -> Labels:
    return flow.level, flow.key.partition("/")[0]

"""When a cron schedule falls due next (robfig/cron's standard parser and SpecSchedule.Next).

Where both days, of the month and of the week, are restricted, either of them will do; `@every D` counts from the time
that is asked from. A schedule that never falls due (the 30th of February) has no next time.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import msgspec

from actors.api.clock import Millis
from actors.api.validation.cron import FIELDS, number_of

_YEARS_MAX = 5
_WORDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_UNITS = {"ns": 1e-6, "us": 1e-3, "µs": 1e-3, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?)(ns|us|µs|ms|s|m|h)")


class Schedule(msgspec.Struct, frozen=True):
    """`every_ms` > 0, or the numbers of each field; `any_day`: whether one of the two kinds of day is free."""

    every_ms: Millis = 0
    minutes: frozenset[int] = frozenset()
    hours: frozenset[int] = frozenset()
    days: frozenset[int] = frozenset()
    months: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()
    any_day: bool = True
    zone: str = ""

    def next_after(self, at: Millis) -> Millis | None:
        """The first time after `at`, in whole seconds; None when there is none within five years."""
        if self.every_ms:
            return at - at % 1000 + self.every_ms
        zone: tzinfo = ZoneInfo(self.zone) if self.zone else UTC
        local = datetime.fromtimestamp(at // 60_000 * 60, zone).replace(tzinfo=None) + timedelta(minutes=1)
        day = local.date()
        for _ in range(366 * _YEARS_MAX):
            if self._falls_on(day):
                for hour in sorted(self.hours):
                    for minute in sorted(self.minutes):
                        due = datetime(day.year, day.month, day.day, hour, minute)
                        if due >= local and (found := _instant(due, zone)) > at:
                            return found
            day += timedelta(days=1)
        return None

    def _falls_on(self, day: date) -> bool:
        if day.month not in self.months:
            return False
        by_month, by_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return by_month and by_week if self.any_day else by_month or by_week


def _instant(due: datetime, zone: tzinfo) -> Millis:
    return int(due.replace(tzinfo=zone).timestamp()) * 1000


def parse_schedule(text: str, zone: str | None) -> Schedule:
    """Of what validation has let pass. Raises ValueError for anything else, and for a zone that is not known here."""
    if text.startswith("@every"):
        parts = _PART.findall(text.partition(" ")[2])
        return Schedule(every_ms=max(round(sum(float(n) * _UNITS[unit] for n, unit in parts)) // 1000, 1) * 1000)
    fields = _WORDS.get(text, text).split()
    minutes, hours, days, months, weekdays = (_numbers(p, *f[1:]) for p, f in zip(fields, FIELDS, strict=True))
    any_day = any(_is_free(part) for part in (fields[2], fields[4]))
    try:
        ZoneInfo(zone or "UTC")
    except KeyError as error:
        raise ValueError(f"unknown time zone {zone}") from error
    return Schedule(0, minutes, hours, days, months, weekdays, any_day, zone or "")


def _is_free(text: str) -> bool:
    return any(part in ("*", "?", "*/1", "?/1") for part in text.split(","))


def _numbers(text: str, low: int, high: int, words: list[str]) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        if span in ("*", "?"):
            start, end = low, high
        else:
            begin, until = number_of(first, low, words), number_of(last, low, words) if dash else None
            if begin is None:
                raise ValueError(f"no number: {first}")
            start, end = begin, until if until is not None else high if slash else begin
        found.update(range(start, end + 1, int(step) if slash else 1))
    return frozenset(found)

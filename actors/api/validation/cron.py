"""Cron schedules as Kubernetes reads them (robfig/cron's standard parser): five fields, ranges, steps, `@every`."""

from __future__ import annotations

import re

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
#: Name, lowest, highest, and the words that stand for numbers from the lowest on.
FIELDS: tuple[tuple[str, int, int, list[str]], ...] = (
    ("minute", 0, 59, []),
    ("hour", 0, 23, []),
    ("day of month", 1, 31, []),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 6, _DAYS),
)
_DESCRIPTORS = frozenset({"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"})
_EVERY = re.compile(r"@every ([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+$")


def find_fault(schedule: str) -> str:
    """Why the schedule cannot be read; "" when it can."""
    if schedule.startswith("@"):
        known = schedule in _DESCRIPTORS or _EVERY.match(schedule)
        return "" if known else f"unrecognized descriptor: {schedule}"
    parts = schedule.split()
    if len(parts) != len(FIELDS):
        return f"expected exactly {len(FIELDS)} fields, found {len(parts)}: {parts}"
    faults = (_field_fault(text, *field) for text, field in zip(parts, FIELDS, strict=True))
    return next(filter(None, faults), "")


def _field_fault(text: str, name: str, low: int, high: int, words: list[str]) -> str:
    return next(filter(None, (_range_fault(part, name, low, high, words) for part in text.split(","))), "")


def _range_fault(text: str, name: str, low: int, high: int, words: list[str]) -> str:
    span, slash, step = text.partition("/")
    first, dash, last = span.partition("-")
    if slash and not (step.isascii() and step.isdigit() and int(step[:9]) > 0):
        return f"step of {name} must be a positive number: {text}"
    if span in ("*", "?"):
        return ""
    start = number_of(first, low, words)
    end = number_of(last, low, words) if dash else start
    if start is None or end is None:
        return f"failed to parse {name}: {text}"
    if start < low:
        return f"beginning of range ({start}) below minimum ({low}): {text}"
    if end > high:
        return f"end of range ({end}) above maximum ({high}): {text}"
    return f"beginning of range ({start}) beyond end of range ({end}): {text}" if start > end else ""


def number_of(text: str, low: int, words: list[str]) -> int | None:
    if text.lower() in words:
        return words.index(text.lower()) + low
    return int(text[:9]) if text.isascii() and text.isdigit() else None

"""Timestamps and durations: their texts, and what time it is in which zone (`getHours("Europe/Rome")`)."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from actors.api.cel.functions.declare import Function, known
from actors.api.cel.values import INT_MAX, CelError, Duration, Timestamp, no_overload

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_RFC3339 = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_OFFSET = re.compile(r"([+-]?)(\d\d):(\d\d)", re.ASCII)


def parse_timestamp(text: str) -> Timestamp:
    """Raises CelError."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise CelError("type conversion error from 'string' to 'google.protobuf.Timestamp'")
    *parts, fraction, zone = match.groups()
    try:
        moment = datetime.datetime(*map(int, parts), tzinfo=datetime.UTC)  # type: ignore[arg-type, misc]  # six numbers, says the pattern
    except ValueError as error:
        raise CelError("type conversion error from 'string' to 'google.protobuf.Timestamp'") from error
    since = moment - _EPOCH
    seconds = since.days * 86_400 + since.seconds - _offset_seconds(zone)
    return Timestamp(seconds * 10**9 + int((fraction or "0").ljust(9, "0")))


def _offset_seconds(zone: str) -> int:
    if zone in "Zz":
        return 0
    seconds = int(zone[1:3]) * 3600 + int(zone[4:6]) * 60
    return -seconds if zone[0] == "-" else seconds


def show_timestamp(value: Timestamp) -> str:
    seconds, nanos = divmod(value.nanos, 10**9)
    moment = _EPOCH + datetime.timedelta(seconds=seconds)
    fraction = f".{nanos:09}".rstrip("0") if nanos else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def parse_duration(text: str) -> Duration:
    """Go's: 1h30m, 1.5s, -20ms. Raises CelError."""
    sign, rest = (-1, text[1:]) if text[:1] == "-" else (1, text.removeprefix("+"))
    if rest == "0":
        return Duration(0)
    total, at = 0, 0
    while at < len(rest):
        match = _PART.match(rest, at)
        if match is None or match.end() - at > 40:
            raise CelError(f"time: invalid duration {text[:64]!r}".replace("'", '"'))
        whole, _, fraction = match[1].partition(".")
        unit = _UNITS[match[2]]
        total += int(whole or 0) * unit + int(fraction[:18] or 0) * unit // 10 ** len(fraction[:18])
        at = match.end()
    if not rest or total > INT_MAX:
        raise CelError(f'time: invalid duration "{text[:64]}"')
    return Duration(sign * total)


def show_duration(value: Duration) -> str:
    """In seconds, as protobuf's JSON: 90s, 1.5s."""
    seconds, nanos = divmod(abs(value.nanos), 10**9)
    fraction = f".{nanos:09}".rstrip("0") if nanos else ""
    return f"{'-' if value.nanos < 0 else ''}{seconds}{fraction}s"


def _zone(name: str) -> datetime.tzinfo:
    if (match := _OFFSET.fullmatch(name)) is not None:
        length = datetime.timedelta(hours=int(match[2]), minutes=int(match[3]))
        return datetime.timezone(-length if match[1] == "-" else length)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise CelError(f"unknown time zone {name[:64]}") from error


_LENGTHS: dict[str, Callable[[int], int]] = {
    "getHours": lambda nanos: int(nanos / (3600 * 10**9)),
    "getMinutes": lambda nanos: int(nanos / (60 * 10**9)),
    "getSeconds": lambda nanos: int(nanos / 10**9),
    "getMilliseconds": lambda nanos: int(nanos / 10**6),
}
_MOMENTS: dict[str, Callable[[datetime.datetime], int]] = {
    "getFullYear": lambda at: at.year,
    "getMonth": lambda at: at.month - 1,
    "getDate": lambda at: at.day,
    "getDayOfMonth": lambda at: at.day - 1,
    "getDayOfWeek": lambda at: at.isoweekday() % 7,
    "getDayOfYear": lambda at: at.timetuple().tm_yday - 1,
    "getHours": lambda at: at.hour,
    "getMinutes": lambda at: at.minute,
    "getSeconds": lambda at: at.second,
    "getMilliseconds": lambda at: at.microsecond // 1000,
}


def _getter(name: str) -> Callable[..., int]:
    def get(value: Any, zone: Any = "UTC") -> int:
        if type(value) is Duration and name in _LENGTHS and zone == "UTC":
            return _LENGTHS[name](value.nanos)
        if type(value) is not Timestamp or type(zone) is not str:
            raise no_overload()
        moment = _EPOCH + datetime.timedelta(microseconds=value.nanos // 1000)
        return _MOMENTS[name](moment.astimezone(_zone(zone)))

    return get


FUNCTIONS: tuple[Function, ...] = tuple(known(name, arity, _getter(name)) for name in _MOMENTS for arity in (1, 2))

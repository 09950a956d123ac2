"""Time as the cores see it: integer milliseconds since the epoch, handed in as an argument, never read.

`format_time` and `parse_time` are Kubernetes' `metav1.Time`: RFC 3339, UTC, whole seconds.
"""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime
from functools import lru_cache

from actors.api.kept import kept_for_short

Millis = int

_RFC3339 = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))$")


#: 9999-12-31T23:59:59Z, the last time that RFC 3339 can write.
LAST_MS: Millis = 253_402_300_799_000


def format_time(now: Millis) -> str:
    """`2026-11-23T10:20:30Z`. Raises ValueError beyond LAST_MS."""
    return _format_seconds(now // 1000)


@lru_cache(maxsize=64)
def _format_seconds(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def format_micro_time(now: Millis) -> str:
    """`metav1.MicroTime`: `2026-11-23T10:20:30.123000Z`."""
    return f"{format_time(now)[:-1]}.{now % 1000:03d}000Z"


@kept_for_short(4096)
def parse_time(text: str) -> Millis:
    """Milliseconds since the epoch. Raises ValueError for anything but RFC 3339."""
    match = _RFC3339.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not an RFC 3339 time such as 2026-11-23T10:20:30Z")
    year, month, day, hour, minute, second, fraction, sign, off_h, off_m = match.groups()
    datetime(int(year), int(month), int(day), int(hour), int(minute), min(int(second), 59))
    seconds = calendar.timegm((int(year), int(month), int(day), int(hour), int(minute), int(second), 0, 0, 0))
    if sign:
        seconds -= (1 if sign == "+" else -1) * (int(off_h) * 3600 + int(off_m) * 60)
    return seconds * 1000 + int((fraction or "0")[:3].ljust(3, "0"))

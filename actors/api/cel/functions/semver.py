"""`semver("1.2.3").isLessThan(semver("2.0.0"))`, and the comparisons that quantities share with versions."""

from __future__ import annotations

import re
from typing import Any

from actors.api.cel.functions import quantity
from actors.api.cel.functions.declare import BOOL, INT, MAP, STRING, Function, member, tagged, untag

_SEMVER = re.compile(
    r"(0|[1-9]\d{0,17})\.(0|[1-9]\d{0,17})\.(0|[1-9]\d{0,17})(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?"
    r"(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
_Order = tuple[int, int, int, bool, tuple[tuple[bool, int, str], ...]]


def parse(text: str) -> _Order:
    """Something that sorts as versions do (semver.org 11). Raises ValueError."""
    match = _SEMVER.fullmatch(text) if len(text) <= 256 else None
    if match is None:
        raise ValueError(f"invalid semantic version: {text[:64]!r}")
    words = match[4].split(".") if match[4] else []
    prerelease = tuple((not word.isdigit(), int(word) if word.isdigit() else 0, word) for word in words)
    return int(match[1]), int(match[2]), int(match[3]), not words, prerelease


def _is_semver(text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


def _semver(text: str) -> dict[str, Any]:
    parse(text)
    return tagged("semver", text)


def _compare(a: Any, b: Any) -> int:
    if isinstance(a, dict) and "@quantity" in a:
        return quantity._compare(a, b)
    left, right = parse(untag(a, "semver")), parse(untag(b, "semver"))
    return (left > right) - (left < right)


FUNCTIONS = (
    Function("semver", (STRING,), MAP, _semver),
    Function("isSemver", (STRING,), BOOL, _is_semver),
    member("major", (MAP,), INT, lambda value: parse(untag(value, "semver"))[0]),
    member("minor", (MAP,), INT, lambda value: parse(untag(value, "semver"))[1]),
    member("patch", (MAP,), INT, lambda value: parse(untag(value, "semver"))[2]),
    member("compareTo", (MAP, MAP), INT, _compare),
    member("isGreaterThan", (MAP, MAP), BOOL, lambda a, b: _compare(a, b) > 0),
    member("isLessThan", (MAP, MAP), BOOL, lambda a, b: _compare(a, b) < 0),
)

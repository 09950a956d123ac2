"""`semver("1.2.3").isLessThan(semver("2.0.0"))` (apiserver pkg/cel/library/semverlib.go)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from actors.api.cel.functions.declare import BOOL, INT, STRING, Function, member, opaque, traversal
from actors.api.cel.functions.network import can

SEMVER = opaque("kubernetes.Semver")

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


@dataclass(slots=True, frozen=True)
class Semver:
    order: _Order
    type_name: ClassVar[str] = "kubernetes.Semver"


def _semver(text: str, normalize: bool = False) -> Semver:
    return Semver(parse(_normalized(text) if normalize else text))


def _normalized(text: str) -> str:
    """`v1.02` -> `1.2.0`: without the v, without leading zeros, with three numbers."""
    match = re.fullmatch(r"([^-+]*)([-+]?)(.*)", text.removeprefix("v"), re.S)
    assert match is not None, "which anything matches"
    core, sign, rest = match.groups()
    numbers = [part.lstrip("0") or "0" if part.isdigit() else part for part in core.split(".")]
    return ".".join(numbers + ["0"] * (3 - len(numbers))) + sign + rest


def _compare(a: Semver, b: Semver) -> int:
    return (a.order > b.order) - (a.order < b.order)


FUNCTIONS = (
    Function("semver", (STRING,), SEMVER, _semver, cost=traversal()),
    Function("semver", (STRING, BOOL), SEMVER, _semver, cost=traversal()),
    Function("isSemver", (STRING,), BOOL, can(_semver), cost=traversal()),
    Function("isSemver", (STRING, BOOL), BOOL, can(_semver), cost=traversal()),
    member("major", (SEMVER,), INT, lambda version: version.order[0]),
    member("minor", (SEMVER,), INT, lambda version: version.order[1]),
    member("patch", (SEMVER,), INT, lambda version: version.order[2]),
    member("compareTo", (SEMVER, SEMVER), INT, _compare),
    member("isGreaterThan", (SEMVER, SEMVER), BOOL, lambda a, b: _compare(a, b) > 0),
    member("isLessThan", (SEMVER, SEMVER), BOOL, lambda a, b: _compare(a, b) < 0),
)

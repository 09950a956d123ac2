"""Names and words between JSON and CEL: escaped property names, durations, which variables an expression reads."""

from __future__ import annotations

import datetime
import re
from functools import lru_cache

_ESCAPES = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
_SPECIAL = re.compile(r"__|[.\-/]")
_SAYABLE = re.compile(r"[A-Za-z_.\-/][A-Za-z0-9_.\-/]*")
_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'')
RESERVED = frozenset(
    [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ]
)
_UNITS_US = {
    "ns": 0.001,
    "us": 1,
    "µs": 1,
    "μs": 1,
    "ms": 1e3,
    "s": 1e6,
    "m": 6e7,
    "h": 3.6e9,
    "d": 8.64e10,
    "w": 6.048e11,
}
_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([a-zµμ]+)")


@lru_cache(maxsize=4096)
def escape(name: str) -> str:
    """`a-b` -> `a__dash__b`; what no expression can say stays as it is."""
    if not _SAYABLE.fullmatch(name):
        return name
    if name in RESERVED:
        return f"__{name}__"
    return _SPECIAL.sub(lambda match: _ESCAPES[match.group()], name)


@lru_cache(maxsize=4096)
def uses(expression: str, variable: str) -> bool:
    """Whether an expression reads the variable."""
    return re.search(rf"(?<![\w.`]){variable}\b", _STRINGS.sub('""', expression)) is not None


def parse_duration(text: str) -> datetime.timedelta:
    """`1h30m`. Raises ValueError."""
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    parts = _DURATION_PART.findall(rest)
    if rest != "0" and not parts:
        raise ValueError(f"not a duration: {text!r}")
    total = sum(float(number) * _UNITS_US[_unit(unit)] for number, unit in parts)
    return sign * datetime.timedelta(microseconds=total)


def _unit(word: str) -> str:
    if word in _UNITS_US:
        return word
    for prefix, unit in (("milli", "ms"), ("min", "m"), ("mi", "m"), ("sec", "s"), ("h", "h"), ("d", "d"), ("w", "w")):
        if word.startswith(prefix):
            return unit
    raise ValueError(f"not a unit of time: {word!r}")

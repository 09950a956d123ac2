"""CEL's standard functions but those of time: size, conversions, questions to strings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

import re2

from actors.api.cel.functions.declare import SCALARS, STRING, Function, known, one, pattern, traversal
from actors.api.cel.functions.times import parse_duration, parse_timestamp, show_duration, show_timestamp
from actors.api.cel.values import (
    INT_MAX,
    INT_MIN,
    UINT_MAX,
    CelError,
    Duration,
    Timestamp,
    TypeValue,
    Uint,
    no_overload,
    size_of,
    type_name,
)

_NAMES = ("null_type", "bool", "int", "uint", "double", "string", "bytes", "list", "map", "type")
TYPES = {name: TypeValue(name) for name in (*_NAMES, Timestamp.type_name, Duration.type_name, "optional_type")}
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_KEPT_CHARS_MAX = 1000


def compiled(text: str) -> Any:
    """A regular expression. Raises CelError."""
    return _kept(text) if len(text) <= _KEPT_CHARS_MAX else _compiled(text)


@lru_cache(maxsize=512)
def _kept(text: str) -> Any:
    return _compiled(text)


def _compiled(text: str) -> Any:
    try:
        return re2.compile(text, _OPTIONS)
    except re2.error as error:
        raise CelError(f"error parsing regexp: {error.args[0] if error.args else error}") from error


def _size(value: Any) -> int:
    if isinstance(value, str | bytes | list | dict):
        return len(value)
    raise no_overload()


def _texts(question: Any) -> Any:
    def ask(value: Any, other: Any) -> bool:
        if type(value) is not str or type(other) is not str:
            raise no_overload()
        return bool(question(value, other))

    return ask


def _int(value: Any) -> int:
    kind = type(value)
    if kind is int:
        return int(value)
    if kind is Timestamp:
        return int(value.nanos // 10**9)
    if kind is Duration:
        return int(value.nanos)
    return _whole(value, INT_MIN, INT_MAX, "integer overflow")


def _uint(value: Any) -> Uint:
    return Uint(_whole(value, 0, UINT_MAX, "unsigned integer overflow"))


def _whole(value: Any, low: int, high: int, told: str) -> int:
    if type(value) is str:
        digits = value[1:] if value[:1] in "+-" else value
        if not digits.isascii() or not digits.isdigit() or len(digits) > 20:
            raise CelError("type conversion error from 'string' to 'int'" if low else "type conversion error")
        number = int(value)
    elif type(value) is float:
        if not math.isfinite(value):
            raise CelError(told)
        number = int(value)
    elif type(value) in (int, Uint):
        number = int(value)
    else:
        raise no_overload()
    if not low <= number <= high:
        raise CelError(told)
    return number


def _double(value: Any) -> float:
    if type(value) is str:
        try:
            return float(value)
        except ValueError as error:
            raise CelError("type conversion error from 'string' to 'double'") from error
    if type(value) in (int, Uint, float):
        return float(value)
    raise no_overload()


def _bool(value: Any) -> bool:
    if type(value) is bool:
        return value
    if type(value) is str and value in ("true", "TRUE", "True", "t", "1", "false", "FALSE", "False", "f", "0"):
        return value in ("true", "TRUE", "True", "t", "1")
    raise CelError("type conversion error from 'string' to 'bool'") if type(value) is str else no_overload()


def to_text(value: Any) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(int(value))
        case float():
            return show_double(value)
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError as error:
                raise CelError("invalid UTF-8 in bytes, cannot convert to string") from error
        case Timestamp():
            return show_timestamp(value)
        case Duration():
            return show_duration(value)
    raise no_overload()


def show_double(value: float) -> str:
    """Without an exponent, as Go's 'f' with the fewest digits."""
    if not math.isfinite(value):
        return "NaN" if value != value else "+Inf" if value > 0 else "-Inf"
    text = format(Decimal(repr(value)), "f")
    return text.removesuffix(".0")


def _bytes(value: Any) -> bytes:
    if type(value) is str:
        return value.encode()
    if type(value) is bytes:
        return value
    raise no_overload()


def _timestamp(value: Any) -> Timestamp:
    if type(value) is Timestamp:
        return value
    if type(value) is int:
        return Timestamp(value * 10**9)
    if type(value) is str:
        return parse_timestamp(value)
    raise no_overload()


def _duration(value: Any) -> Duration:
    if type(value) is Duration:
        return value
    if type(value) is str:
        return parse_duration(value)
    raise no_overload()


def _contains_cost(args: Sequence[Any]) -> int:
    return math.ceil(size_of(args[0]) / 10) * math.ceil(size_of(args[1]) / 10)


def _conversion_cost(args: Sequence[Any]) -> int:
    return math.ceil(size_of(args[0]) / 10) if isinstance(args[0], str | bytes) else 1


def _matches(text: Any, expression: Any) -> bool:
    if type(text) is not str or type(expression) is not str:
        raise no_overload()
    return compiled(expression).search(text) is not None


FUNCTIONS: tuple[Function, ...] = (
    known("size", 1, _size),
    known("contains", 2, _texts(lambda text, part: part in text), _contains_cost),
    known("startsWith", 2, _texts(str.startswith), traversal()),
    known("endsWith", 2, _texts(str.endswith), traversal()),
    known("matches", 2, _matches, pattern),
    known("int", 1, _int, one),
    known("uint", 1, _uint, one),
    known("double", 1, _double, one),
    known("bool", 1, _bool, one),
    *(Function("string", (scalar,), STRING, to_text, cost=_conversion_cost) for scalar in SCALARS),
    known("bytes", 1, _bytes, _conversion_cost),
    known("timestamp", 1, _timestamp, one),
    known("duration", 1, _duration, one),
    known("dyn", 1, lambda value: value),
    known("type", 1, lambda value: TYPES.get(type_name(value)) or TypeValue(type_name(value))),
)

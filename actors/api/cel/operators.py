"""Operators on values: equality, order, arithmetic, indexing. What the types do not allow raises CelError."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from actors.api.cel.values import (
    INT_MAX,
    INT_MIN,
    NONE,
    NUMBERS,
    UINT_MAX,
    CelError,
    Duration,
    Optional,
    Timestamp,
    Uint,
    no_overload,
    type_name,
)

#: Years 1 to 9999.
_TIME_MIN, _TIME_MAX = -62_135_596_800 * 10**9, 253_402_300_799 * 10**9 + 999_999_999
_COLLECTIONS = (list, dict)


def equals(a: Any, b: Any, pay: Callable[[int], None]) -> bool:
    """Values of different types differ, numbers do not care; pays for what it compares."""
    kind = type(a)
    if isinstance(a, _COLLECTIONS):
        return _equal_collections(a, b, pay)
    if kind is type(b):
        if kind is Optional:
            return (a is NONE) == (b is NONE) and (a is NONE or equals(a.of, b.of, pay))
        return bool(a == b)
    return kind in NUMBERS and type(b) in NUMBERS and bool(a == b)


def _equal_collections(a: Any, b: Any, pay: Callable[[int], None]) -> bool:
    if isinstance(a, list) != isinstance(b, list) or not isinstance(b, _COLLECTIONS) or len(a) != len(b):
        return False
    pay(len(a) // 3)
    if isinstance(a, list):
        return all(equals(x, y, pay) for x, y in zip(a, b, strict=True))
    return all(name in b and equals(x, b[name], pay) for name, x in a.items())


def _ordered(a: Any, b: Any) -> None:
    kind, other = type(a), type(b)
    if kind in NUMBERS and other in NUMBERS:
        return
    if kind is other and kind in (str, bytes, bool, Timestamp, Duration):
        return
    raise no_overload()


def less(a: Any, b: Any) -> bool:
    if type(a) is not int or type(b) is not int:
        _ordered(a, b)
    return bool(a < b)


def less_equal(a: Any, b: Any) -> bool:
    if type(a) is not int or type(b) is not int:
        _ordered(a, b)
    return bool(a <= b)


def _integer(value: int, kind: type) -> int:
    """Raises CelError for one that does not fit."""
    if kind is Uint:
        if not 0 <= value <= UINT_MAX:
            raise CelError("unsigned integer overflow")
        return Uint(value)
    if not INT_MIN <= value <= INT_MAX:
        raise CelError("integer overflow")
    return value


def _moment(nanos: int) -> Timestamp:
    if not _TIME_MIN <= nanos <= _TIME_MAX:
        raise CelError("timestamp overflow")
    return Timestamp(nanos)


def _length(nanos: int) -> Duration:
    if not INT_MIN <= nanos <= INT_MAX:
        raise CelError("duration overflow")
    return Duration(nanos)


def add(a: Any, b: Any) -> Any:
    kind = type(a)
    if kind is type(b):
        if kind is int or kind is Uint:
            return _integer(int(a) + int(b), kind)
        if kind in (float, str, bytes, list):
            return a + b
        if kind is Duration:
            return _length(a.nanos + b.nanos)
    match a, b:
        case (Timestamp(), Duration()) | (Duration(), Timestamp()):
            return _moment(a.nanos + b.nanos)
    raise no_overload()


def subtract(a: Any, b: Any) -> Any:
    kind = type(a)
    if kind is type(b):
        if kind is int or kind is Uint:
            return _integer(int(a) - int(b), kind)
        if kind is float:
            return a - b
        if kind in (Timestamp, Duration):
            return _length(a.nanos - b.nanos)
    if kind is Timestamp and type(b) is Duration:
        return _moment(a.nanos - b.nanos)
    raise no_overload()


def multiply(a: Any, b: Any) -> Any:
    kind = type(a)
    if kind is not type(b) or kind not in NUMBERS:
        raise no_overload()
    return a * b if kind is float else _integer(int(a) * int(b), kind)


def divide(a: Any, b: Any) -> Any:
    kind = type(a)
    if kind is not type(b) or kind not in NUMBERS:
        raise no_overload()
    if kind is float:
        if b == 0:
            return math.nan if a == 0 or a != a else math.copysign(math.inf, a) * math.copysign(1, b)
        return a / b
    if b == 0:
        raise CelError("division by zero")
    whole = abs(int(a)) // abs(int(b))
    return _integer(whole if (a < 0) == (b < 0) else -whole, kind)


def modulo(a: Any, b: Any) -> Any:
    kind = type(a)
    if kind is not type(b) or kind not in (int, Uint):
        raise no_overload()
    if b == 0:
        raise CelError("modulus by zero")
    rest = abs(int(a)) % abs(int(b))
    return _integer(rest if a >= 0 else -rest, kind)


def negate(a: Any) -> Any:
    kind = type(a)
    if kind is int:
        return _integer(-a, int)
    if kind is float:
        return -a
    raise no_overload()


def negated(a: Any) -> bool:
    if type(a) is not bool:
        raise no_overload()
    return not a


def index(value: Any, at: Any) -> Any:
    """Of a list by its place, of a map by its key."""
    if isinstance(value, dict):
        key = key_of(at)
        if key in value:
            return value[key]
        raise CelError(f"no such key: {shown(at)}")
    if isinstance(value, list):
        if type(at) is float and at.is_integer():
            at = int(at)
        if type(at) not in (int, Uint):
            raise CelError(f"unsupported index type '{type_name(at)}' in list")
        if 0 <= at < len(value):
            return value[at]
        raise CelError(f"index out of bounds: {int(at)}")
    if isinstance(value, Optional):
        return find(value, at)
    raise no_overload()


def key_of(at: Any) -> Any:
    """As a map has it. Raises CelError for what no key can be."""
    if type(at) in (str, int, Uint, bool):
        return at
    if type(at) is float and at.is_integer():
        return int(at)
    raise CelError(f"unsupported key type: {type_name(at)}")


def find(value: Any, at: Any) -> Any:
    """The member as an optional: NONE where it is not."""
    if isinstance(value, Optional):
        return NONE if value is NONE else find(value.of, at)
    try:
        return Optional(index(value, at))
    except CelError as error:
        if str(error).startswith(("no such key", "index out of bounds")):
            return NONE
        raise


def select(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        try:
            return value[name]
        except KeyError:
            raise CelError(f"no such key: {name}") from None
    if isinstance(value, Optional):
        return find(value, name)
    raise no_overload()


def has(value: Any, name: str) -> bool:
    if isinstance(value, dict):
        return name in value
    if isinstance(value, Optional):
        return find(value, name) is not NONE
    raise no_overload()


def contains(item: Any, collection: Any, pay: Callable[[int], None]) -> bool:
    if isinstance(collection, dict):
        return type(item) in (str, int, Uint, bool) and item in collection
    if isinstance(collection, list):
        if type(item) is str:
            return item in collection
        return any(equals(item, other, pay) for other in collection)
    raise no_overload()


def shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

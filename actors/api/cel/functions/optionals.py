"""Optional values (cel-go cel/library.go): `object.?spec.?replicas.orValue(1)`; their macros use the same functions.
`or` and `orValue` are the interpreter's: they look at their argument only where they need it.
"""

from __future__ import annotations

from typing import Any

from actors.api.cel.functions.declare import Function, known
from actors.api.cel.values import NONE, CelError, Duration, Optional, Timestamp, no_overload


def _check(value: Any) -> Optional:
    if not isinstance(value, Optional):
        raise no_overload()
    return value


def _has_value(value: Any) -> bool:
    return _check(value) is not NONE


def _value(value: Any) -> Any:
    if _check(value) is NONE:
        raise CelError("optional.none() dereference")
    return value.of


def _of_non_zero(value: Any) -> Optional:
    zero = not value if not isinstance(value, Timestamp | Duration) else value.nanos == 0
    return NONE if zero else Optional(value)


def _end(at: int) -> Any:
    def find(value: Any) -> Optional:
        if not isinstance(value, list):
            raise no_overload()
        return Optional(value[at]) if value else NONE

    return find


def _unwrap(values: Any) -> list[Any]:
    if not isinstance(values, list):
        raise no_overload()
    return [value.of for value in map(_check, values) if value is not NONE]


FUNCTIONS: tuple[Function, ...] = (
    known("optional.of", 1, Optional),
    known("optional.ofNonZeroValue", 1, _of_non_zero),
    known("optional.none", 0, lambda: NONE),
    known("hasValue", 1, _has_value),
    known("value", 1, _value),
    known("first", 1, _end(0)),
    known("last", 1, _end(-1)),
    known("optional.unwrap", 1, _unwrap),
    known("unwrapOpt", 1, _unwrap),
)

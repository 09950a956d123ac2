"""`quantity("1.5Gi").isGreaterThan(quantity("1Gi"))`: resource quantities, exactly."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from actors.api.cel.functions.declare import BOOL, DOUBLE, DYN, INT, MAP, STRING, Function, member, tagged, untag

_QUANTITY = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E|[eE][+-]?\d{1,3}|)")
_SUFFIXES = {
    **{f"{prefix}i": Decimal(1024) ** power for power, prefix in enumerate("KMGTPE", 1)},
    **{prefix: Decimal(1000) ** power for power, prefix in enumerate("kMGTPE", 1)},
    **{prefix: Decimal(1000) ** -power for power, prefix in enumerate("mun", 1)},
    "": Decimal(1),
}
_CHARS_MAX = 64


def parse(text: str) -> Decimal:
    """Raises ValueError in Kubernetes' words."""
    match = _QUANTITY.fullmatch(text) if len(text) <= _CHARS_MAX else None
    if match is None:
        raise ValueError("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
    number, suffix = match.groups()
    return Decimal(number) * (_SUFFIXES[suffix] if suffix in _SUFFIXES else Decimal(f"1{suffix}"))


def _quantity(text: str) -> dict[str, Any]:
    parse(text)
    return tagged("quantity", text)


def _is_quantity(text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


def _of(value: Any) -> Decimal:
    return Decimal(value) if isinstance(value, int) else parse(untag(value, "quantity"))


def _result(value: Decimal) -> dict[str, Any]:
    return tagged("quantity", format(value, "f")[:_CHARS_MAX])


def _is_integer(value: Any) -> bool:
    number = _of(value)
    return number == number.to_integral_value() and -(2**63) <= number < 2**63


def _as_integer(value: Any) -> int:
    if not _is_integer(value):
        raise ValueError("cannot convert value to integer")
    return int(_of(value))


def _compare(a: Any, b: Any) -> int:
    left, right = _of(a), _of(b)
    return (left > right) - (left < right)


FUNCTIONS = (
    Function("quantity", (STRING,), MAP, _quantity),
    Function("isQuantity", (STRING,), BOOL, _is_quantity),
    member("sign", (MAP,), INT, lambda value: _compare(value, 0)),
    member("isInteger", (MAP,), BOOL, _is_integer),
    member("asInteger", (MAP,), INT, _as_integer),
    member("asApproximateFloat", (MAP,), DOUBLE, lambda value: float(_of(value))),
    member("add", (MAP, DYN), MAP, lambda a, b: _result(_of(a) + _of(b))),
    member("sub", (MAP, DYN), MAP, lambda a, b: _result(_of(a) - _of(b))),
)

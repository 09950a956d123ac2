"""`quantity("1.5Gi").isGreaterThan(quantity("1Gi"))`: resource quantities, exactly."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

from actors.api.cel.functions.declare import BOOL, DOUBLE, INT, STRING, Function, member, opaque, traversal

QUANTITY = opaque("kubernetes.Quantity")

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


@dataclass(slots=True, frozen=True)
class Quantity:
    value: Decimal
    type_name: ClassVar[str] = "kubernetes.Quantity"


def _quantity(text: str) -> Quantity:
    return Quantity(parse(text))


def _is_quantity(text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


def _is_integer(quantity: Quantity) -> bool:
    number = quantity.value
    return number == number.to_integral_value() and -(2**63) <= number < 2**63


def _as_integer(quantity: Quantity) -> int:
    if not _is_integer(quantity):
        raise ValueError("cannot convert value to integer")
    return int(quantity.value)


def _sign(number: Decimal) -> int:
    return (number > 0) - (number < 0)


def _both(operate: Callable[[Decimal, Decimal], Any]) -> Callable[[Quantity, Any], Any]:
    """With another quantity or an integer."""
    return lambda a, b: operate(a.value, b.value if isinstance(b, Quantity) else Decimal(b))


_ADD = _both(lambda a, b: Quantity(a + b))
_SUB = _both(lambda a, b: Quantity(a - b))
FUNCTIONS = (
    Function("quantity", (STRING,), QUANTITY, _quantity, cost=traversal()),
    Function("isQuantity", (STRING,), BOOL, _is_quantity, cost=traversal()),
    member("sign", (QUANTITY,), INT, lambda quantity: _sign(quantity.value)),
    member("isInteger", (QUANTITY,), BOOL, _is_integer),
    member("asInteger", (QUANTITY,), INT, _as_integer),
    member("asApproximateFloat", (QUANTITY,), DOUBLE, lambda quantity: float(quantity.value)),
    member("add", (QUANTITY, QUANTITY), QUANTITY, _ADD),
    member("add", (QUANTITY, INT), QUANTITY, _ADD),
    member("sub", (QUANTITY, QUANTITY), QUANTITY, _SUB),
    member("sub", (QUANTITY, INT), QUANTITY, _SUB),
    member("compareTo", (QUANTITY, QUANTITY), INT, _both(lambda a, b: _sign(a - b))),
    member("isGreaterThan", (QUANTITY, QUANTITY), BOOL, _both(lambda a, b: a > b)),
    member("isLessThan", (QUANTITY, QUANTITY), BOOL, _both(lambda a, b: a < b)),
)

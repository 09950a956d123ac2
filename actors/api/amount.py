"""Quantities that are reckoned with and shown again: exact, and written as Kubernetes writes them.

apimachinery pkg/api/resource: a quantity keeps the way in which it was written (binary, decimal, exponent) and is shown
in its canonical form: no fraction, the largest suffix that leaves none. A sum is written as its first term that is not
zero. `quantity` has integers for those who only compare.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from actors.api.kept import kept_for_short
from actors.api.quantity import Quantity, parse_nanos

_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL = {-9: "n", -6: "u", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P", 18: "E"}
_SMALL = 1024
_NANO = 10**9


class Amount(NamedTuple):
    """`nanos`: thousand-millionths. `form`: "binary", "decimal" or "exponent"."""

    nanos: int
    form: str = "decimal"

    def __str__(self) -> str:
        whole, rest = divmod(abs(self.nanos), _NANO)
        sign = "-" if self.nanos < 0 else ""
        if self.form == "binary" and whole >= _SMALL and not rest:
            return sign + _binary(whole)
        return sign + _decimal(abs(self.nanos), self.form)

    def plus(self, other: Amount) -> Amount:
        return Amount(self.nanos + other.nanos, self.form if self.nanos else other.form)

    def minus(self, other: Amount) -> Amount:
        return Amount(self.nanos - other.nanos, self.form if self.nanos else other.form)


ZERO = Amount(0)
Amounts = dict[str, Amount]


@kept_for_short(4096)
def _parse(text: str) -> Amount:
    return Amount(parse_nanos(text), _form_of(text))


def _form_of(text: str) -> str:
    if text.endswith("i"):
        return "binary"
    return "exponent" if "e" in text or "E" in text[:-1] else "decimal"


def parse_amount(quantity: Quantity) -> Amount:
    """Raises ValueError."""
    return _parse(str(quantity))


def parse_amounts(quantities: Mapping[str, Quantity] | None) -> Amounts:
    """Of a ResourceList. Raises ValueError."""
    return {name: _parse(str(quantity)) for name, quantity in (quantities or {}).items()}


def format_amounts(amounts: Mapping[str, Amount]) -> dict[str, str]:
    return {name: str(amount) for name, amount in amounts.items()}


def total(parts: Iterable[Amounts]) -> Amounts:
    found: Amounts = {}
    for part in parts:
        for name, amount in part.items():
            found[name] = found[name].plus(amount) if name in found else amount
    return found


def most(first: Amounts, second: Amounts) -> Amounts:
    """The larger of each."""
    found = dict(first)
    for name, amount in second.items():
        if name not in found or found[name].nanos < amount.nanos:
            found[name] = amount
    return found


def _binary(whole: int) -> str:
    power = 0
    while whole % _SMALL == 0 and power + 1 < len(_BINARY):
        whole, power = whole // _SMALL, power + 1
    return f"{whole}{_BINARY[power]}"


def _decimal(nanos: int, form: str) -> str:
    if not nanos:
        return "0"
    power = -9
    while nanos % 1000 == 0 and power < max(_DECIMAL):
        nanos, power = nanos // 1000, power + 3
    if form == "exponent":
        return f"{nanos}e{power}" if power else str(nanos)
    return f"{nanos}{_DECIMAL[power]}"

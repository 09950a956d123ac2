"""Kubernetes quantities (apimachinery pkg/api/resource) as integers: `100m` CPU is 100 millis, `1Gi` is 2**30 bytes.

Exact: no float is involved. What is finer than the unit asked for is rounded up, as kube-scheduler does.
"""

from __future__ import annotations

import re

from actors.api.kept import kept_for_short

Quantity = str | int | float

_FORM = re.compile(r"([+-]?)(\d+(?:\.\d*)?|\.\d+)(?:([KMGTPE]i|[numkMGTPE]?)|[eE]([+-]?\d{1,3}))$", re.ASCII)
_BINARY = {suffix: 1 << (10 * power) for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}


@kept_for_short(4096)
def _parse(text: str, places: int) -> int:
    """In units of 10 to the minus `places`, rounded up."""
    match = _FORM.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not a quantity such as 500m, 2, 1.5Gi or 10M")
    sign, digits, suffix, exponent = match.groups()
    whole, _, fraction = digits.partition(".")
    mantissa = int((whole or "0") + fraction)
    power = int(exponent) if exponent else _DECIMAL.get(suffix, 0)
    power += places - len(fraction)
    mantissa *= _BINARY.get(suffix, 1)
    if sign == "-":
        mantissa = -mantissa
    return mantissa * int(10**power) if power >= 0 else -(-mantissa // int(10**-power))


def parse_millis(quantity: Quantity) -> int:
    """Thousandths, rounded up: for CPU. Raises ValueError."""
    return _parse(str(quantity), 3)


def parse_bytes(quantity: Quantity) -> int:
    """Whole units, rounded up: for memory, storage and counts. Raises ValueError."""
    return _parse(str(quantity), 0)


def parse_nanos(quantity: Quantity) -> int:
    """Thousand-millionths, rounded up: as exact as a quantity gets. Raises ValueError."""
    return _parse(str(quantity), 9)


def format_millis(millis: int) -> str:
    """Canonical CPU text: `250m`, `2`."""
    return str(millis // 1000) if millis % 1000 == 0 else f"{millis}m"


def format_bytes(count: int) -> str:
    """Canonical text with the largest binary suffix that divides it: `1Gi`, `1536Mi`, `1000`."""
    for suffix, factor in reversed(_BINARY.items()):
        if count and count % factor == 0:
            return f"{count // factor}{suffix}"
    return str(count)


def parse_resource(name: str, quantity: Quantity) -> int:
    """The integer that the scheduler counts in: millis for `cpu`, units for everything else."""
    return parse_millis(quantity) if name == "cpu" else parse_bytes(quantity)

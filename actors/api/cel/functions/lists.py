"""`[1, 2].sum()`, `min`, `max`, `isSorted`, `indexOf`, `lastIndexOf`."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from actors.api.cel.functions.declare import BOOL, DYN, INT, LIST, member


def _least(values: list[Any]) -> Any:
    if not values:
        raise ValueError("min called on empty list")
    return min(values)


def _greatest(values: list[Any]) -> Any:
    if not values:
        raise ValueError("max called on empty list")
    return max(values)


def _index(values: list[Any], wanted: Any) -> int:
    return next((at for at, value in enumerate(values) if value == wanted), -1)


def _last_index(values: list[Any], wanted: Any) -> int:
    return next((at for at in range(len(values) - 1, -1, -1) if values[at] == wanted), -1)


FUNCTIONS = (
    member("isSorted", (LIST,), BOOL, lambda values: all(a <= b for a, b in pairwise(values))),
    member("sum", (LIST,), DYN, lambda values: sum(values[1:], values[0]) if values else 0),
    member("min", (LIST,), DYN, _least),
    member("max", (LIST,), DYN, _greatest),
    member("indexOf", (LIST, DYN), INT, _index),
    member("lastIndexOf", (LIST, DYN), INT, _last_index),
)

"""`[1, 2].sum()`, `min`, `max`, `isSorted`, `indexOf`, `lastIndexOf` (apiserver pkg/cel/library/lists.go)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from actors.api.cel import operators
from actors.api.cel.functions.declare import BOOL, DYN, INT, LIST, member
from actors.api.cel.values import Duration, Uint, no_overload, size_of


def _free(cost: int) -> None:
    """The comparisons are in the price."""


def _best(name: str, better: Any) -> Any:
    def find(values: list[Any]) -> Any:
        if not values:
            raise ValueError(f"{name} called on empty list")
        found = values[0]
        for value in values[1:]:
            if better(value, found):
                found = value
        return found

    return find


def _sum(values: list[Any]) -> Any:
    if not values:
        return 0
    total = values[0]
    if type(total) not in (int, Uint, float, Duration):
        raise no_overload()
    for value in values[1:]:
        total = operators.add(total, value)
    return total


def index_of(values: list[Any], wanted: Any) -> int:
    return next((at for at, value in enumerate(values) if operators.equals(value, wanted, _free)), -1)


def last_index_of(values: list[Any], wanted: Any) -> int:
    backwards = range(len(values) - 1, -1, -1)
    return next((at for at in backwards if operators.equals(values[at], wanted, _free)), -1)


def _cost(args: Sequence[Any]) -> int:
    """One for each item, and for each ten characters that are compared."""
    return sum(1 + size_of(value) // 10 for value in args[0])


def _is_sorted(values: list[Any]) -> bool:
    return all(operators.less_equal(a, b) for a, b in pairwise(values))


FUNCTIONS = (
    member("isSorted", (LIST,), BOOL, _is_sorted, _cost),
    member("sum", (LIST,), DYN, _sum, _cost),
    member("min", (LIST,), DYN, _best("min", operators.less), _cost),
    member("max", (LIST,), DYN, _best("max", lambda a, b: operators.less(b, a)), _cost),
    member("indexOf", (LIST, DYN), INT, index_of, _cost),
    member("lastIndexOf", (LIST, DYN), INT, last_index_of, _cost),
)

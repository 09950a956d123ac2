"""`sets.contains([1, 2], [2])`, `sets.equivalent`, `sets.intersects`: lists taken as sets (cel-go ext/sets.go)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from actors.api.cel import operators
from actors.api.cel.functions.declare import Function, known
from actors.api.cel.values import no_overload, size_of


def _free(cost: int) -> None:
    """The comparisons are in the price."""


def _lists(a: Any, b: Any) -> None:
    if not isinstance(a, list) or not isinstance(b, list):
        raise no_overload()


def _contains(outer: Any, inner: Any) -> bool:
    _lists(outer, inner)
    return all(operators.contains(item, outer, _free) for item in inner)


def _equivalent(a: Any, b: Any) -> bool:
    return _contains(a, b) and _contains(b, a)


def _intersects(a: Any, b: Any) -> bool:
    _lists(a, b)
    return any(operators.contains(item, b, _free) for item in a)


def _values(value: Any) -> int:
    """All values below."""
    if isinstance(value, list | dict):
        return 1 + sum(map(_values, value if isinstance(value, list) else value.values()))
    return 1


def _cost(args: Sequence[Any]) -> int:
    """Each with each."""
    if not all(isinstance(value, list) for value in args):
        return 1
    heaviest = 1 + max((_values(item) for value in args for item in value), default=0) // 10
    return 1 + size_of(args[0]) * size_of(args[1]) * heaviest


FUNCTIONS: tuple[Function, ...] = (
    known("sets.contains", 2, _contains, _cost),
    known("sets.equivalent", 2, _equivalent, lambda args: 2 * _cost(args)),
    known("sets.intersects", 2, _intersects, _cost),
)

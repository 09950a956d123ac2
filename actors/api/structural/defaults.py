"""Defaulting: missing members get the default of their schema; nulls that no schema allows count as missing."""

from __future__ import annotations

import copy
from typing import Any

from actors.api.errors import TooLarge
from actors.api.structural.node import Node

#: Members of an object that a definition's defaults may add, whole values counted.
ADDED_MAX = 200_000


def apply_defaults(value: Any, node: Node, added_max: int = 0) -> Any:
    """The input is not changed; parts without defaults below them are shared with it.

    Raises TooLarge where `added_max` is given and the defaults add more values than that.
    """
    return _Filling(added_max).fill(value, node)


class _Filling:
    """Of one object; knows how much it may still add, without end for 0."""

    def __init__(self, added_max: int) -> None:
        self._most, self._added = added_max, 0

    def fill(self, value: Any, node: Node) -> Any:
        if isinstance(value, list):
            return [self.fill(item, node.items) for item in value] if node.items is not None else value
        return self._fill_members(value, node) if isinstance(value, dict) else value

    def _fill_members(self, value: dict[str, Any], node: Node) -> dict[str, Any]:
        filled = {}
        for name, item in value.items():
            child = node.child(name)
            if child is None:
                filled[name] = item
            elif item is not None:
                filled[name] = self.fill(item, child)
            elif child.nullable or _takes_null(child):
                filled[name] = None
            elif child.has_default and name not in node.properties:
                filled[name] = self._default(child)
        for name, child in node.properties.items():
            if name not in filled and child.has_default:
                filled[name] = self._default(child)
        return filled

    def _default(self, node: Node) -> Any:
        if self._most:
            self._added += _count(node.default)
            if self._added > self._most:
                raise TooLarge(f"the defaults of its definition add more than {self._most} values to the object")
        return self.fill(copy.deepcopy(node.default), node)


def _count(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + sum(map(_count, value.values()))
    return 1 + sum(map(_count, value)) if isinstance(value, list) else 1


def _takes_null(node: Node) -> bool:
    """A place of any type, whose null is a value like others."""
    return not node.type and node.preserve

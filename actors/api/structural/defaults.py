"""Defaulting: missing members get the default of their schema; nulls that no schema allows count as missing."""

from __future__ import annotations

import copy
from typing import Any

from actors.api.structural.node import Node


def apply_defaults(value: Any, node: Node) -> Any:
    """The input is not changed; parts without defaults below them are shared with it."""
    if isinstance(value, list):
        return [apply_defaults(item, node.items) for item in value] if node.items is not None else value
    if not isinstance(value, dict):
        return value
    filled = {}
    for name, item in value.items():
        child = node.child(name)
        if child is None:
            filled[name] = item
        elif item is not None:
            filled[name] = apply_defaults(item, child)
        elif child.nullable or _takes_null(child):
            filled[name] = None
        elif child.has_default and name not in node.properties:
            filled[name] = apply_defaults(copy.deepcopy(child.default), child)
    for name, child in node.properties.items():
        if name not in filled and child.has_default:
            filled[name] = apply_defaults(copy.deepcopy(child.default), child)
    return filled


def _takes_null(node: Node) -> bool:
    """A place of any type, whose null is a value like others."""
    return not node.type and node.preserve

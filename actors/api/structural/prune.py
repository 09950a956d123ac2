"""Pruning: what no schema knows is dropped, unless `x-kubernetes-preserve-unknown-fields` keeps it (KEP-575)."""

from __future__ import annotations

from typing import Any

from actors.api.structural.embedded import known_metadata
from actors.api.structural.node import Node

#: Of every object and every embedded resource, whatever its schema says.
TYPE_META = ("apiVersion", "kind", "metadata")


def prune(value: Any, node: Node, *, root: bool = False, unknown: list[str] | None = None, path: str = "") -> Any:
    """`value` without unknown fields; their paths are added to `unknown`. The input is not changed."""
    if isinstance(value, list):
        if node.items is None:
            return value
        items = node.items
        return [prune(item, items, unknown=unknown, path=f"{path}[{at}]") for at, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    kept = {}
    for name, item in value.items():
        at = f"{path}.{name}" if path else name
        if (root or node.embedded) and name in TYPE_META:
            kept[name] = item if root or name != "metadata" else _prune_metadata(item, at, unknown)
        elif (child := node.child(name)) is not None:
            kept[name] = prune(item, child, unknown=unknown, path=at)
        elif node.preserve or node.additional is True:
            kept[name] = item
        elif unknown is not None:
            unknown.append(at)
    return kept


def _prune_metadata(metadata: Any, path: str, unknown: list[str] | None) -> Any:
    """Of an embedded resource, whatever its schema says."""
    if not isinstance(metadata, dict) or all(map(known_metadata, metadata)):
        return metadata
    if unknown is not None:
        unknown += [f"{path}.{name}" for name in metadata if not known_metadata(name)]
    return {name: item for name, item in metadata.items() if known_metadata(name)}

"""An apply configuration merged into an object, by the lists and maps of its schema (structured-merge-diff's Merge)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from actors.api.codec import Object
from actors.api.schema import Field
from actors.store.admission.fieldset import item_steps


def find_atomics(value: Any, field: Field | None, path: str = "") -> Iterator[str]:
    """What a configuration may not name in part: all that it leaves out would go."""
    if field is None:
        return
    if isinstance(value, dict):
        if field.map_type == "atomic":
            yield path
        for name, item in value.items():
            yield from find_atomics(item, field.member(name), f"{path}.{name}")
    elif isinstance(value, list):
        if field.list_type not in ("map", "set"):
            yield path
        for at, item in enumerate(value):
            yield from find_atomics(item, field.item, f"{path}[{at}]")


def merge(live: Any, given: Any, field: Field | None) -> Any:
    """Neither is changed."""
    if isinstance(live, dict) and isinstance(given, dict):
        if field is not None and field.map_type == "atomic":
            return given
        merged: Object = dict(live)
        for name, item in given.items():
            below = field.member(name) if field is not None else None
            merged[name] = merge(live.get(name), item, below)
        return merged
    if isinstance(live, list) and isinstance(given, list) and field is not None and field.list_type in ("map", "set"):
        return _merge_items(live, given, field)
    return given


def _merge_items(live: list[Any], given: list[Any], field: Field) -> list[Any]:
    """By their keys: known ones where they are, new ones behind."""
    known, wanted = item_steps(live, field), item_steps(given, field)
    if known is None or wanted is None:
        return given
    new, merged = dict(zip(wanted, given, strict=True)), []
    for step, item in zip(known, live, strict=True):
        merged.append(merge(item, new.pop(step), field.item) if step in new else item)
    return merged + list(new.values())

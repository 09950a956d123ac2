"""What nobody wants any more leaves an applied object: fields and items that their manager no longer applies.

A struct or an item that goes takes along what was defaulted in it; a map or a list goes when nothing is left in it,
for what else is in there may be the control plane's own. What another manager owns stays, and the way to it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from actors.api.codec import Object
from actors.api.schema import Field
from actors.store.admission.fieldset import Path, item_steps, member_field

_METADATA: Path = ("f:metadata",)


def pruned(
    obj: Object, shape: Field, before: frozenset[Path], after: frozenset[Path], others: frozenset[Path]
) -> Object:
    """`obj` without what a manager applied `before` and does not apply `after`, unless it is `others`'."""
    dropped = _with_prefixes(before) - _with_prefixes(after) - {_METADATA}
    if not dropped:
        return obj
    cut: Object = _Pruner(dropped, _with_prefixes(others)).cut(obj, shape, (), doomed=False)
    return cut


def _with_prefixes(paths: Iterable[Path]) -> set[Path]:
    return {path[:end] for path in paths for end in range(1, len(path) + 1)}


class _Pruner:
    def __init__(self, dropped: set[Path], held: set[Path]) -> None:
        self._dropped, self._held = dropped, held

    def cut(self, value: Any, field: Field | None, path: Path, *, doomed: bool) -> Any:
        """`doomed`: all goes but what is held."""
        if isinstance(value, dict) and not (field and field.map_type == "atomic"):
            return self._cut_members(value, field, path, doomed)
        if isinstance(value, list) and (steps := item_steps(value, field)) is not None and field is not None:
            element, kept = field.item, []
            for step, item in zip(steps, value, strict=True):
                at = (*path, step)
                goes = doomed or at in self._dropped
                if not goes or at in self._held:
                    kept.append(self.cut(item, element, at, doomed=goes))
            return kept
        return value

    def _cut_members(self, value: Object, field: Field | None, path: Path, doomed: bool) -> Object:
        kept, keys = {}, _keys_of_item(path)
        for name, item in value.items():
            at, inner = (*path, f"f:{name}"), member_field(field, name)
            goes = (doomed or at in self._dropped) and name not in keys
            if not goes:
                kept[name] = self.cut(item, inner, at, doomed=False)
                continue
            is_shared = not doomed and _is_shared(item, inner)
            if not is_shared and at not in self._held:
                continue
            left = self.cut(item, inner, at, doomed=doomed or not is_shared)
            if left or at in self._held:
                kept[name] = left
        return kept


def _is_shared(value: Any, field: Field | None) -> bool:
    """A map, or a keyed list or set: what holds entries of many, as opposed to a struct, which is one thing."""
    if isinstance(value, dict):
        return field is None or (field.map_type != "atomic" and not field.is_struct)
    return isinstance(value, list) and item_steps(value, field) is not None


def _keys_of_item(path: Path) -> frozenset[str]:
    """The members by which an item is known; they go with it, never alone."""
    if not path or not path[-1].startswith("k:"):
        return frozenset()
    return frozenset(json.loads(path[-1][2:]))

"""fieldsV1 of a new object in one pass, by builders that learn their schema as they meet it: for every create."""

from __future__ import annotations

from functools import cache
from typing import Any

from actors.api.codec import NESTED, Object
from actors.api.schema import Field
from actors.store.admission.fieldset import SERVER_METADATA, item_steps, member_field


def fields_of_new(obj: Object, root: Field, spec: Object | None = None) -> Object:
    """`encode_fields(flatten(obj, root, status=False))`: status is not its creator's. `spec`: its fields, if known."""
    tree: Object = {}
    for name in sorted(obj.keys() - {"apiVersion", "kind", "status"}):
        below = spec if name == "spec" and spec is not None else fields_of(obj[name], root.member(name))
        if name == "metadata":
            below = {step: inner for step, inner in below.items() if step not in SERVER_METADATA}
            if not below:
                continue
        tree["f:" + name] = below
    return tree


def fields_of(value: Any, field: Field | None) -> Object:
    """fieldsV1 below a value of this schema."""
    return builder_of(field).build(value)


def builder_of(field: Field | None) -> Builder:
    """What makes fieldsV1 of values with this schema. Those of Kubernetes' own types are made once."""
    if field is None:
        return _ANY
    return _known_builder(field) if type(field) is Field else Builder(field)


class Builder:
    """Of one schema, None where there is none. What a struct has is kept by name; names that users choose are not."""

    def __init__(self, field: Field | None) -> None:
        self._field = field
        self._is_atomic = field is not None and field.map_type == "atomic"
        self._is_map = field is not None and field.is_map
        self._members: dict[str, tuple[str, Builder]] = {}
        self._element: Builder | None = None

    def build(self, value: Any) -> Object:
        if not isinstance(value, NESTED) or not value:
            return {}
        if isinstance(value, list):
            return self._of_list(value)
        if self._is_atomic:
            return {}
        return self._of_members(value, {".": {}} if self._is_map else {})

    def _of_members(self, value: Object, tree: Object) -> Object:
        """`tree`, with the members in it."""
        for name in sorted(value):
            step, builder = self._members.get(name) or self._learn(name)
            item = value[name]
            tree[step] = builder.build(item) if isinstance(item, NESTED) else {}
        return tree

    def _learn(self, name: str) -> tuple[str, Builder]:
        member = member_field(self._field, name)
        found = "f:" + name, builder_of(member)
        if member is not None and not self._is_map:
            self._members[name] = found
        return found

    def _of_list(self, value: list[Any]) -> Object:
        steps = item_steps(value, self._field)
        if steps is None or self._field is None:
            return {}
        if self._element is None:
            self._element = builder_of(self._field.item)
        element: Builder = self._element
        tree: Object = {".": {}}
        for step, item in sorted(zip(steps, value, strict=True), key=_step_of):
            below = tree.setdefault(step, {})
            if isinstance(item, dict) and item and not element._is_atomic:
                below.setdefault(".", {})
                element._of_members(item, below)
        return tree


_ANY = Builder(None)


@cache
def _known_builder(field: Field) -> Builder:
    return Builder(field)


def _step_of(pair: tuple[str, Any]) -> str:
    return pair[0]

"""What a field may hold, as data: rules.json by schema definition, immutable.json by kind.

`by_rules` walks an object along its schema and tells every field that breaks its rule, with its path. Definitions
below which no rule lies are not walked. What needs more than one field is in `relations`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib import resources
from typing import Any

import msgspec

from actors.api.codec import Object
from actors.api.schema import Definition, definition, definition_name, definitions
from actors.api.validation.causes import Causes, required, unsupported, wrong
from actors.api.validation.formats import FORMATS

#: Of one definition's value at a path.
Relation = Callable[[Object, str], Causes]
#: What has a validator of its own, or is judged when it is made into an object.
_ELSEWHERE = frozenset({"core.v1.PodTemplateSpec", "core.v1.PersistentVolumeClaim", "meta.v1.ObjectMeta"})


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of a field, or of each item of a list. Bounds are inclusive."""

    required: bool = False
    enum: tuple[str, ...] = ()
    min: int | None = None
    max: int | None = None
    format: str = ""


@lru_cache(maxsize=1)
def _rules() -> dict[str, dict[str, Rule]]:
    text = resources.files("actors.api.validation").joinpath("rules.json").read_bytes()
    return msgspec.json.decode(text, type=dict[str, dict[str, Rule]])


@lru_cache(maxsize=1)
def _immutable() -> dict[str, tuple[str, ...]]:
    text = resources.files("actors.api.validation").joinpath("immutable.json").read_bytes()
    return msgspec.json.decode(text, type=dict[str, tuple[str, ...]])


def by_rules(obj: Object, relations: Mapping[str, Relation]) -> Causes:
    found = definition(definition_name(obj.get("apiVersion", ""), obj.get("kind", "")))
    if found is not None:
        yield from _walk(obj, found, "", relations)


def _walk(obj: Object, found: Definition, path: str, relations: Mapping[str, Relation]) -> Causes:
    rules = _rules().get(found.name, {})
    for name, field in found.fields.items():
        at, value = f"{path}.{name}" if path else name, obj.get(name)
        if name in rules:
            yield from _check(value, rules[name], at)
        element = field.element.removeprefix("[]")
        below = definition(element) if value is not None and _leads_to_rules(element, relations) else None
        if below is not None:
            for place, item in _items(value, at):
                if isinstance(item, dict):
                    yield from _walk(item, below, place, relations)
    if found.name in relations:
        yield from relations[found.name](obj, path)


def _items(value: Any, path: str) -> list[tuple[str, Any]]:
    return [(f"{path}[{i}]", item) for i, item in enumerate(value)] if isinstance(value, list) else [(path, value)]


def _leads_to_rules(name: str, relations: Mapping[str, Relation]) -> bool:
    return name in relations or name in _ruled()


@lru_cache(maxsize=1)
def _ruled() -> frozenset[str]:
    """Definitions that have rules or lead to ones that have."""
    known = set(_rules())
    waiting = {name: _elements(name) for name in {found.name for found in definitions()}}
    while more := {name for name, elements in waiting.items() if name not in known and elements & known}:
        known |= more
    return frozenset(known - _ELSEWHERE)


def _elements(name: str) -> set[str]:
    found = definition(name)
    if found is None or name in _ELSEWHERE:
        return set()
    return {field.element.removeprefix("[]") for field in found.fields.values()} - _ELSEWHERE


def _check(value: Any, rule: Rule, path: str) -> Causes:
    if value is None or value in ("", [], {}):
        if rule.required:
            yield required(path)
        return
    for place, item in _items(value, path):
        if rule.enum and item not in rule.enum:
            yield unsupported(place, item, rule.enum)
        elif rule.min is not None or rule.max is not None:
            yield from _bounded(item, rule, place)
        elif rule.format:
            yield from FORMATS[rule.format](place, item)


def _bounded(value: Any, rule: Rule, path: str) -> Causes:
    low, high = rule.min, rule.max
    if (low is None or value >= low) and (high is None or value <= high):
        return
    if low is not None and high is not None:
        yield wrong(path, value, f"must be between {low} and {high}, inclusive")
    elif low is not None:
        yield wrong(path, value, "must be greater than 0" if low == 1 else f"must be greater than or equal to {low}")
    else:
        yield wrong(path, value, f"must be less than or equal to {high}")


def unchanged(obj: Object, old: Object) -> Causes:
    """Fields that may not change once an object is there."""
    for path in _immutable().get(f"{obj.get('apiVersion')} {obj.get('kind')}", ()):
        if _at(obj, path) != _at(old, path):
            yield wrong(path, _shown(_at(obj, path)), "field is immutable")


def _at(obj: Any, path: str) -> Any:
    for name in path.split("."):
        obj = obj.get(name) if isinstance(obj, dict) else None
    return obj


def _shown(value: Any) -> Any:
    return msgspec.json.encode(value).decode() if isinstance(value, dict | list) else value

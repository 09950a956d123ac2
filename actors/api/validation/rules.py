"""What a field may hold, as data: rules.json by schema definition, immutable.json by kind.

A `Judge` walks an object along its schema and tells every field that breaks its rule, with its path. Definitions
below which no rule lies are not walked. What needs more than one field is in `relations`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from importlib import resources
from typing import Any, NamedTuple

import msgspec

from actors.api.codec import Object
from actors.api.schema import definition, definition_name, definitions
from actors.api.validation.causes import Causes, forbidden, required, unsupported, wrong
from actors.api.validation.formats import FORMATS

#: Of one definition's value at a path.
Relation = Callable[[Object, str], Causes]
#: What has a validator of its own, or is judged when it is made into an object.
_ELSEWHERE = frozenset(
    {"batch.v1.JobTemplateSpec", "core.v1.PodTemplateSpec", "core.v1.PersistentVolumeClaim", "meta.v1.ObjectMeta"}
)


#: What counts as not given.
_NOTHING: tuple[Any, ...] = (None, "", [], {})


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of a field, or of each item of a list. Bounds are inclusive. `at_list`: of a bad item the list's path is told."""

    required: bool = False
    enum: tuple[str, ...] = ()
    min: int | None = None
    max: int | None = None
    format: str = ""
    at_list: bool = False


@lru_cache(maxsize=1)
def _rules() -> dict[str, dict[str, Rule]]:
    text = resources.files("actors.api.validation").joinpath("rules.json").read_bytes()
    return msgspec.json.decode(text, type=dict[str, dict[str, Rule]])


@lru_cache(maxsize=1)
def _immutable() -> dict[str, dict[str, str]]:
    """By kind: the paths, each with why it is forbidden, "" where Kubernetes says no more than that it is immutable."""
    text = resources.files("actors.api.validation").joinpath("immutable.json").read_bytes()
    return msgspec.json.decode(text, type=dict[str, dict[str, str]])


class _Step(NamedTuple):
    """Of one field: its rule, and the definition of what it holds where that leads to rules."""

    name: str
    rule: Rule | None
    below: str


class Judge:
    """Walks objects along their schema. What it walks is found out once for each definition."""

    def __init__(self, relations: Mapping[str, Relation]) -> None:
        self._relations = relations
        self._plans: dict[str, tuple[_Step, ...]] = {}
        self._quick: dict[str, tuple[dict[str, _Step], tuple[str, ...]]] = {}
        self._ruled: frozenset[str] = frozenset()

    def whole(self, obj: Object) -> Causes:
        name = definition_name(obj.get("apiVersion", ""), obj.get("kind", ""))
        return self.part(obj, name, "") if definition(name) is not None else iter(())

    def part(self, value: Object, name: str, path: str) -> Causes:
        """Of a value whose definition is `name`, at `path`. Nearly all are good, and that is quick to find out."""
        return iter(()) if self._fits(value, name) else self._causes(value, name, path)

    def _fits(self, value: Object, name: str) -> bool:
        steps, needed = self._steps_by_name(name)
        for field in needed:
            if value.get(field) in _NOTHING:
                return False
        for field, found in value.items():
            step = steps.get(field)
            if step is None or found is None:
                continue
            if step.rule is not None and next(_check(found, step.rule, ""), None) is not None:
                return False
            if step.below:
                for item in found if type(found) is list else (found,):
                    if type(item) is dict and not self._fits(item, step.below):
                        return False
        relation = self._relations.get(name)
        return relation is None or next(relation(value, ""), None) is None

    def _steps_by_name(self, name: str) -> tuple[dict[str, _Step], tuple[str, ...]]:
        """The steps, and the fields that must be there."""
        found = self._quick.get(name)
        if found is None:
            plan = self._plan(name)
            needed = tuple(step.name for step in plan if step.rule is not None and step.rule.required)
            found = self._quick[name] = ({step.name: step for step in plan}, needed)
        return found

    def _causes(self, value: Object, name: str, path: str) -> Causes:
        for step in self._plan(name):
            found = value.get(step.name)
            if found is None and (step.rule is None or not step.rule.required):
                continue
            at = f"{path}.{step.name}" if path else step.name
            if step.rule is not None:
                yield from _check(found, step.rule, at)
            if step.below:
                for place, item in _items(found, at):
                    if isinstance(item, dict):
                        yield from self._causes(item, step.below, place)
        if name in self._relations:
            yield from self._relations[name](value, path)

    def _plan(self, name: str) -> tuple[_Step, ...]:
        plan = self._plans.get(name)
        if plan is None:
            plan = self._plans[name] = tuple(self._steps(name))
        return plan

    def _steps(self, name: str) -> Iterator[_Step]:
        self._ruled = self._ruled or _ruled(self._relations)
        found, rules = definition(name), _rules().get(name, {})
        for field_name, field in found.fields.items() if found is not None else ():
            element = field.element.removeprefix("[]")
            below = element if element in self._ruled else ""
            if field_name in rules or below:
                yield _Step(field_name, rules.get(field_name), below)


def _items(value: Any, path: str) -> list[tuple[str, Any]]:
    return [(f"{path}[{i}]", item) for i, item in enumerate(value)] if isinstance(value, list) else [(path, value)]


def _ruled(relations: Mapping[str, Relation]) -> frozenset[str]:
    """Definitions that have rules or lead to ones that have."""
    known = {*_rules(), *relations}
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
    if value in _NOTHING:
        if rule.required:
            yield required(path)
        return
    for place, item in _items(value, path):
        if rule.enum and item not in rule.enum:
            yield unsupported(path if rule.at_list else place, item, rule.enum)
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
    """Fields that may not change once an object is there; some kinds forbid it in words of their own."""
    for path, why in _immutable().get(f"{obj.get('apiVersion')} {obj.get('kind')}", {}).items():
        if _at(obj, path) != _at(old, path):
            yield forbidden(path, why) if why else wrong(path, _at(obj, path), "field is immutable")


def _at(obj: Any, path: str) -> Any:
    for name in path.split("."):
        obj = obj.get(name) if isinstance(obj, dict) else None
    return obj

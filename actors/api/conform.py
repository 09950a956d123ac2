"""Whether a value is just what its schema says: the quick way through for what nearly every client sends.

A predicate a type, made once. What does not conform is walked by `schema.check_object`, which tells where and why; a
time that is not written as Kubernetes writes it (UTC, whole seconds) does not conform either, nor does an empty list or
map that it leaves out.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from actors.api.schema import Definition, definition, definition_name, scalar_rule

Predicate = Callable[[Any], bool]
_TIME_CHARS = {"meta.v1.Time": len("2026-11-23T10:20:30Z"), "meta.v1.MicroTime": len("2026-11-23T10:20:30.123456Z")}


def conforms(obj: Any, api_version: str, kind: str) -> bool:
    """No unknown field, none of a wrong type, all in the canonical form. False for a kind without a schema."""
    name = definition_name(api_version, kind)
    return definition(name) is not None and predicate_of(name)(obj)


@cache
def predicate_of(type_name: str) -> Predicate:
    if type_name.startswith("[]"):
        return _list_of(predicate_of(type_name[2:]))
    if type_name.startswith("map:"):
        return _map_of(predicate_of(type_name[4:]))
    found = definition(type_name)
    if found is not None:
        return _struct(found)
    rule = scalar_rule(type_name)
    chars = _TIME_CHARS.get(type_name)
    if chars is not None:
        return lambda value: rule(value) and len(value) == chars and value[-1] == "Z" and value[10] == "T"
    return rule


def _list_of(item_conforms: Predicate) -> Predicate:
    def list_conforms(value: Any) -> bool:
        return type(value) is list and all(item is not None and item_conforms(item) for item in value)

    return list_conforms


def _map_of(item_conforms: Predicate) -> Predicate:
    def map_conforms(value: Any) -> bool:
        return type(value) is dict and all(item is None or item_conforms(item) for item in value.values())

    return map_conforms


def _filled(conforms: Predicate) -> Predicate:
    return lambda value: bool(value) and conforms(value)


def _struct(found: Definition) -> Predicate:
    """Members are looked up when they are first met, for a schema may hold itself."""
    members: dict[str, Predicate] = {}

    def struct_conforms(value: Any) -> bool:
        if type(value) is not dict:
            return False
        for name, item in value.items():
            member = members.get(name)
            if member is None:
                field = found.fields.get(name)
                if field is None:
                    return False
                member = predicate_of(field.type)
                member = members[name] = _filled(member) if found.omits_empty(name) else member
            if item is not None and not member(item):
                return False
        return True

    return struct_conforms

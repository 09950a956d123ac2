"""The list and map types of a schema: what they ask of its items (apiextensions validation, KEP-1027)."""

from __future__ import annotations

from collections.abc import Iterator

from actors.api.codec import Object
from actors.api.errors import Cause
from actors.api.validation.causes import forbidden, required, unsupported, wrong

_LIST, _KEYS, _MAP = "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type"
_SCALARS = ("string", "integer", "number", "boolean")


def check_lists(schema: Object, path: str) -> Iterator[Cause]:
    list_type, keys, map_type = schema.get(_LIST), schema.get(_KEYS) or [], schema.get(_MAP)
    type_name = schema.get("type") or ""
    if list_type is not None and type_name != "array":
        yield _type_must_be("array", path, type_name, _LIST)
    if list_type is not None and list_type not in ("atomic", "set", "map"):
        yield unsupported(f"{path}.{_LIST}", list_type, ("atomic", "map", "set"))
    if map_type is not None and type_name != "object":
        yield _type_must_be("object", path, type_name, _MAP)
    if map_type is not None and map_type not in ("atomic", "granular"):
        yield unsupported(f"{path}.{_MAP}", map_type, ("atomic", "granular"))
    if keys and list_type is None:
        yield required(f"{path}.{_LIST}", f"must be map if {_KEYS} is non-empty")
    elif keys and list_type != "map":
        yield wrong(f"{path}.{_LIST}", list_type, f"must be map if {_KEYS} is non-empty")
    items = schema.get("items")
    if list_type == "map":
        yield from _check_map(items, keys, path)
    elif list_type == "set" and isinstance(items, dict):
        yield from _check_set(items, path)


def _type_must_be(expected: str, path: str, type_name: str, keyword: str) -> Cause:
    rule = f"must be {expected} if {keyword} is specified"
    return wrong(f"{path}.type", type_name, rule) if type_name else required(f"{path}.type", rule)


def _check_map(items: Object | None, keys: list[str], path: str) -> Iterator[Cause]:
    if not keys:
        yield required(f"{path}.{_KEYS}", f"must not be empty if {_LIST} is map")
    if not isinstance(items, dict):
        yield required(f"{path}.items", f"must have a schema if {_LIST} is map")
        return
    if items.get("type") != "object":
        yield wrong(f"{path}.items.type", items.get("type"), f"must be object if parent array's {_LIST} is map")
    if items.get("nullable"):
        yield forbidden(f"{path}.items.nullable", f"cannot be nullable when {_LIST} is map")
    properties = items.get("properties") or {}
    for at, name in enumerate(keys):
        part = properties.get(name)
        if not isinstance(part, dict):
            yield wrong(f"{path}.{_KEYS}[{at}]", name, "entries must all be names of item properties")
            continue
        where = f"{path}.items.properties[{name}]"
        if part.get("type") not in _SCALARS:
            yield wrong(f"{where}.type", part.get("type"), f"must be a scalar type if parent array's {_LIST} is map")
        if part.get("nullable"):
            yield forbidden(f"{where}.nullable", f"cannot be nullable when {_LIST} is map")
        if name not in (items.get("required") or ()) and part.get("default") is None:
            rule = f"this property is in {_KEYS}, so it must have a default or be a required property"
            yield required(f"{where}.default", rule)


def _check_set(items: Object, path: str) -> Iterator[Cause]:
    if items.get("nullable"):
        yield forbidden(f"{path}.items.nullable", f"cannot be nullable when {_LIST} is set")
    if items.get("type") == "object" and items.get(_MAP) != "atomic":
        yield wrong(f"{path}.items.{_MAP}", items.get(_MAP), f"must be atomic as item of a list with {_LIST}=set")
    if items.get("type") == "array" and items.get(_LIST) not in (None, "atomic"):
        yield wrong(f"{path}.items.{_LIST}", items.get(_LIST), f"must be atomic as item of a list with {_LIST}=set")

"""An object held against its structural schema: every bad place at once, in kube-openapi's words.

On an update what has not changed is not held against the object (ratcheting, KEP-4008).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from actors.api.errors import Cause
from actors.api.structural.formats import has_format
from actors.api.structural.node import DEPTH_MAX, Node, canonical
from actors.api.validation.causes import required

#: A value that is not there; null is a value.
ABSENT: Any = object()
_CAUSES_MAX = 200


def validate(value: Any, node: Node, path: str = "", old: Any = ABSENT) -> list[Cause]:
    """`old` is what the value replaces. No more than 200 causes."""
    found = []
    for cause in _walk(value, node, path, old, DEPTH_MAX):
        found.append(cause)
        if len(found) == _CAUSES_MAX:
            break
    return found


def at(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def correlate(items: list[Any], node: Node) -> dict[str, Any]:
    """The items of a list of type map, by their keys; none of other lists."""
    if node.list_type != "map" or node.items is None:
        return {}
    return {item_key(item, node): item for item in items if isinstance(item, dict)}


def item_key(item: Any, node: Node) -> str:
    if not isinstance(item, dict):
        return ""
    properties = node.items.properties if node.items else {}
    defaults = {name: child.default for name, child in properties.items() if child.has_default}
    return canonical([item.get(name, defaults.get(name)) for name in node.map_keys]).decode()


def type_of(value: Any) -> str:
    """JSON's word for it; a number without a fraction is an integer."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "integer" if value.is_integer() else "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def has_type(value: Any, node: Node) -> bool:
    found = type_of(value)
    if node.int_or_string:
        return found in ("integer", "string")
    return not node.type or found == node.type or (node.type == "number" and found == "integer")


def _walk(value: Any, node: Node, path: str, old: Any, depth: int) -> Iterator[Cause]:
    if old is not ABSENT and value == old and type_of(value) == type_of(old):
        return
    if value is None and (node.nullable or not node.type):
        return
    if not has_type(value, node):
        expected = "integer,string" if node.int_or_string else node.type
        yield _type_invalid(path, type_of(value), f"must be of type {expected}")
        return
    if depth == 0:
        yield Cause(path, "Too deep: the object is nested too deeply", "FieldValueInvalid")
        return
    yield from _check_value(value, node, path, depth)
    if isinstance(value, dict):
        yield from _walk_members(value, node, path, old, depth)
    elif isinstance(value, list):
        yield from _walk_items(value, node, path, old, depth)


def _walk_members(value: dict[str, Any], node: Node, path: str, old: Any, depth: int) -> Iterator[Cause]:
    before = old if isinstance(old, dict) else {}
    for name in node.required:
        if name not in value:
            yield required(at(path, name))
    for name, item in value.items():
        if (child := node.child(name)) is not None:
            yield from _walk(item, child, at(path, name), before.get(name, ABSENT), depth - 1)


def _walk_items(value: list[Any], node: Node, path: str, old: Any, depth: int) -> Iterator[Cause]:
    if node.list_type in ("set", "map"):
        yield from _duplicates(value, node, path)
    if node.items is None:
        return
    before = correlate(old, node) if isinstance(old, list) else {}
    for index, item in enumerate(value):
        known = before.get(item_key(item, node), ABSENT) if before else ABSENT
        yield from _walk(item, node.items, f"{path}[{index}]", known, depth - 1)


def _duplicates(value: list[Any], node: Node, path: str) -> Iterator[Cause]:
    seen: set[str] = set()
    for index, item in enumerate(value):
        is_map = node.list_type == "map"
        key = item_key(item, node) if is_map else canonical(item).decode()
        if key in seen:
            shown = {name: item[name] for name in node.map_keys if name in item} if is_map else item
            yield Cause(f"{path}[{index}]", f"Duplicate value: {json.dumps(shown)}", "FieldValueDuplicate")
        seen.add(key)


def _check_value(value: Any, node: Node, path: str, depth: int) -> Iterator[Cause]:
    if node.enum is not None and canonical(value) not in node.enum_keys:
        choices = ", ".join(json.dumps(choice) for choice in node.enum)
        yield Cause(
            path, f"Unsupported value: {json.dumps(value)}: supported values: {choices}", "FieldValueNotSupported"
        )
    match value:
        case bool() | None:
            pass
        case str():
            yield from _check_string(value, node, path)
        case int() | float():
            yield from _check_number(value, node, path)
        case list():
            yield from _check_size(len(value), "Items", "items", node, path)
        case dict():
            yield from _check_size(len(value), "Properties", "properties", node, path)
    yield from _check_nested(value, node, path, depth)


def _check_string(value: str, node: Node, path: str) -> Iterator[Cause]:
    bounds = node.bounds
    if len(value) < bounds.get("minLength", 0):
        yield _invalid(path, value, f"should be at least {bounds['minLength']} chars long")
    if "maxLength" in bounds and len(value) > bounds["maxLength"]:
        yield Cause(path, f"Too long: may not be more than {bounds['maxLength']} bytes", "FieldValueTooLong")
    if node.pattern is not None and not node.pattern.search(value):
        yield _invalid(path, value, f"should match '{node.pattern_text}'")
    if node.format and not has_format(value, node.format):
        yield _type_invalid(path, value, f"must be of type {node.format}")


def _check_number(value: float, node: Node, path: str) -> Iterator[Cause]:
    low, high = node.bounds.get("minimum"), node.bounds.get("maximum")
    if low is not None and (value < low or (node.exclusive_minimum and value == low)):
        yield _invalid(path, value, f"should be greater than {'' if node.exclusive_minimum else 'or equal to '}{low}")
    if high is not None and (value > high or (node.exclusive_maximum and value == high)):
        yield _invalid(path, value, f"should be less than {'' if node.exclusive_maximum else 'or equal to '}{high}")
    if node.multiple_of and not _is_multiple(value, node.multiple_of):
        yield _invalid(path, value, f"should be a multiple of {node.multiple_of}")
    if node.format and not has_format(value, node.format):
        yield _type_invalid(path, value, f"must be of type {node.format}")


def _is_multiple(value: float, of: float) -> bool:
    if isinstance(value, int) and isinstance(of, int):
        return value % of == 0
    return (value / of).is_integer()


def _check_size(size: int, bound: str, noun: str, node: Node, path: str) -> Iterator[Cause]:
    low, high = node.bounds.get(f"min{bound}"), node.bounds.get(f"max{bound}")
    if low is not None and size < low:
        yield Cause(path, f"Invalid value: {size}: {path} in body should have at least {low} {noun}")
    if high is not None and size > high:
        yield Cause(path, f"Too many: {size}: must have at most {high} items", "FieldValueTooMany")


def _check_nested(value: Any, node: Node, path: str, depth: int) -> Iterator[Cause]:
    for part in node.all_of:
        yield from _walk(value, part, path, ABSENT, depth - 1)
    if node.any_of and not any(_is_valid(value, part, depth) for part in node.any_of):
        yield _combined(path, "must validate at least one schema (anyOf)")
    if node.one_of:
        valid = sum(_is_valid(value, part, depth) for part in node.one_of)
        if valid != 1:
            told = "Found none valid" if valid == 0 else f"Found {valid} valid alternatives"
            yield _combined(path, f"must validate one and only one schema (oneOf). {told}")
    if node.none_of is not None and _is_valid(value, node.none_of, depth):
        yield _combined(path, "must not validate the schema (not)")


def _is_valid(value: Any, node: Node, depth: int) -> bool:
    return next(_walk(value, node, "", ABSENT, depth - 1), None) is None


def _combined(path: str, rule: str) -> Cause:
    return Cause(path, f'Invalid value: "": "{path}" {rule}')


def _invalid(path: str, value: Any, rule: str) -> Cause:
    return Cause(path, f"Invalid value: {json.dumps(value)}: {path} in body {rule}")


def _type_invalid(path: str, value: str | float, rule: str) -> Cause:
    shown = json.dumps(value)
    return Cause(path, f"Invalid value: {shown}: {path} in body {rule}: {shown}", "FieldValueTypeInvalid")

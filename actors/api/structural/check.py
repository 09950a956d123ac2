"""Whether an openAPIV3Schema is structural (KEP-1979; apiextensions-apiserver pkg/apiserver/schema/validation.go).

Every bad place at once, with Kubernetes' path and reason. A schema that passes is what `node.py` compiles.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from actors.api.codec import Object
from actors.api.errors import Cause
from actors.api.structural.lists import check_lists
from actors.api.structural.node import DEPTH_MAX, compile_pattern
from actors.api.validation.causes import forbidden, required, unsupported, wrong

TYPES = ("array", "boolean", "integer", "number", "object", "string")
_INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]
_NEVER = ("$ref", "definitions", "dependencies", "id", "patternProperties", "additionalItems")
#: Keywords that only the structure itself may use, never what is inside allOf, anyOf, oneOf and not.
_STRUCTURAL_ONLY = {
    "type": "must be empty to be structural",
    "additionalProperties": "must be undefined to be structural",
    "default": "must be undefined to be structural",
    "title": "must be empty to be structural",
    "description": "must be empty to be structural",
    "nullable": "must be false to be structural",
    "x-kubernetes-preserve-unknown-fields": "must be false to be structural",
    "x-kubernetes-embedded-resource": "must be false to be structural",
    "x-kubernetes-int-or-string": "must be false to be structural",
    "x-kubernetes-list-map-keys": "must be empty to be structural",
    "x-kubernetes-list-type": "must be undefined to be structural",
    "x-kubernetes-map-type": "must be undefined to be structural",
}
_WHERE = {
    "root": "must not be empty at the root",
    "field": "must not be empty for specified object fields",
    "item": "must not be empty for specified array items",
}
_OBJECTS = ("properties", "not", "items")
_SHAPES: dict[str, type | tuple[type, ...]] = {
    "properties": dict, "required": list, "enum": list, "allOf": list, "anyOf": list, "oneOf": list, "not": dict,
    "type": str, "format": str, "pattern": str, "nullable": bool, "x-kubernetes-validations": list,
    "minimum": (int, float), "maximum": (int, float), "multipleOf": (int, float), "minLength": int, "maxLength": int,
    "minItems": int, "maxItems": int, "minProperties": int, "maxProperties": int, "x-kubernetes-list-map-keys": list,
    "additionalProperties": (dict, bool), "x-kubernetes-list-type": str, "x-kubernetes-map-type": str,
}  # fmt: skip


def check_structural(schema: Any, path: str) -> Iterator[Cause]:
    """`path` names the schema: `spec.validation.openAPIV3Schema`."""
    yield from _walk(schema, path, "root", DEPTH_MAX)


def key(path: str, name: str) -> str:
    return f"{path}.properties[{name}]"


def _walk(schema: Any, path: str, level: str, depth: int) -> Iterator[Cause]:
    if depth == 0:
        yield forbidden(path, f"schemas may be nested at most {DEPTH_MAX} deep")
        return
    shape = list(_check_shape(schema, path))
    yield from shape
    if shape:
        return
    yield from _check_keywords(schema, path)
    yield from _check_type(schema, path, level)
    yield from check_lists(schema, path)
    for name, part in (schema.get("properties") or {}).items():
        yield from _walk(part, key(path, name), "field", depth - 1)
    if isinstance(additional := schema.get("additionalProperties"), dict):
        yield from _walk(additional, f"{path}.additionalProperties", "field", depth - 1)
    if schema.get("items") is not None:
        yield from _walk(schema["items"], f"{path}.items", "item", depth - 1)
    if level == "root" or schema.get("x-kubernetes-embedded-resource"):
        yield from _check_type_meta(schema, path)
    yield from _check_combinations(schema, path, schema, path, depth)


def _check_shape(schema: Any, path: str) -> Iterator[Cause]:
    """What has another JSON type than its keyword's cannot be looked into."""
    if not isinstance(schema, dict):
        yield wrong(path, schema, "must be a schema object")
        return
    if isinstance(schema.get("items"), list):
        yield forbidden(f"{path}.items", "items must be a schema object and not an array")
    for name, expected in _SHAPES.items():
        value = schema.get(name)
        if value is not None and (not isinstance(value, expected) or (isinstance(value, bool) and expected is int)):
            yield Cause(f"{path}.{name}", f"Invalid value: {str(value)[:80]!r}: wrong type", "FieldValueTypeInvalid")
    for name in ("required", "x-kubernetes-list-map-keys"):
        if isinstance(schema.get(name), list) and not all(isinstance(item, str) for item in schema[name]):
            yield Cause(f"{path}.{name}", "Invalid value: must be strings", "FieldValueTypeInvalid")


def _check_keywords(schema: Object, path: str) -> Iterator[Cause]:
    for name in _NEVER:
        if schema.get(name):
            yield forbidden(f"{path}.{name}", f"{name} is not supported")
    if schema.get("uniqueItems"):
        why = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        yield forbidden(f"{path}.uniqueItems", why)
    if schema.get("additionalProperties") is False:
        yield forbidden(f"{path}.additionalProperties", "additionalProperties cannot be set to false")
    if schema.get("properties") and schema.get("additionalProperties"):
        why = "additionalProperties and properties are mutual exclusive"
        yield forbidden(f"{path}.additionalProperties", why)
    if pattern := schema.get("pattern"):
        try:
            compile_pattern(pattern)
        except ValueError as error:
            rule = f"must be a valid regular expression, but isn't: {error}"
            yield wrong(f"{path}.pattern", pattern, rule)


def _check_type(schema: Object, path: str, level: str) -> Iterator[Cause]:
    type_name = schema.get("type") or ""
    embedded, preserve = (
        schema.get("x-kubernetes-embedded-resource"),
        schema.get("x-kubernetes-preserve-unknown-fields"),
    )
    int_or_string = schema.get("x-kubernetes-int-or-string")
    if type_name == "null":
        yield forbidden(f"{path}.type", "type cannot be set to null, use nullable as an alternative")
    elif type_name and type_name not in TYPES:
        yield unsupported(f"{path}.type", type_name, TYPES)
    elif embedded and type_name != "object":
        rule = "must be object if x-kubernetes-embedded-resource is true"
        yield wrong(f"{path}.type", type_name, rule) if type_name else required(f"{path}.type", rule)
    elif not type_name and not int_or_string and not preserve:
        yield required(f"{path}.type", _WHERE[level])
    elif level == "root" and type_name != "object":
        yield (
            wrong(f"{path}.type", type_name, "must be object at the root")
            if type_name
            else required(f"{path}.type", _WHERE[level])
        )
    if int_or_string and type_name:
        yield forbidden(f"{path}.type", "must be empty if x-kubernetes-int-or-string is true")
    if level == "root" and schema.get("additionalProperties"):
        yield forbidden(f"{path}.additionalProperties", "must not be used at the root")
    if int_or_string and preserve:
        rule = "must be false if x-kubernetes-int-or-string is true"
        yield wrong(f"{path}.x-kubernetes-preserve-unknown-fields", "true", rule)
    if int_or_string and embedded:
        yield wrong(
            f"{path}.x-kubernetes-embedded-resource", "true", "must be false if x-kubernetes-int-or-string is true"
        )
    if embedded and not preserve and not schema.get("properties"):
        rule = (
            "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields"
        )
        yield required(f"{path}.properties", rule)
    if embedded and schema.get("additionalProperties"):
        yield forbidden(f"{path}.additionalProperties", "must not be used if x-kubernetes-embedded-resource is set")


def _check_type_meta(schema: Object, path: str) -> Iterator[Cause]:
    properties = schema.get("properties") or {}
    for name, expected in (("apiVersion", "string"), ("kind", "string"), ("metadata", "object")):
        part = properties.get(name)
        if isinstance(part, dict) and part.get("type") != expected:
            yield wrong(f"{key(path, name)}.type", part.get("type"), f"must be {expected}")
    metadata = properties.get("metadata")
    if isinstance(metadata, dict) and set(metadata.get("properties") or ()) - {"name", "generateName"}:
        rule = "must not specify anything other than name and generateName, but metadata is implicitly specified"
        yield forbidden(key(path, "metadata"), rule)


def _check_combinations(schema: Object, path: str, whole: Object, whole_path: str, depth: int) -> Iterator[Cause]:
    """allOf, anyOf, oneOf and not of a place; `whole` is the structure that they talk about."""
    allowed = _allowed_any_of(schema)
    for name in ("allOf", "anyOf", "oneOf"):
        for index, part in enumerate(schema.get(name) or ()):
            if (name, index) not in allowed:
                yield from _check_nested(part, f"{path}.{name}[{index}]", whole, whole_path, depth - 1)
    if schema.get("not"):
        yield from _check_nested(schema["not"], f"{path}.not", whole, whole_path, depth - 1)


def _allowed_any_of(schema: Object) -> set[tuple[str, int]]:
    """The one exception: int-or-string may say its two types in anyOf, or in the anyOf of the first of allOf."""
    if not schema.get("x-kubernetes-int-or-string"):
        return set()
    if schema.get("anyOf") == _INT_OR_STRING:
        return {("anyOf", 0), ("anyOf", 1)}
    all_of = schema.get("allOf")
    first = all_of[0] if all_of else None
    return {("allOf", 0)} if isinstance(first, dict) and first.get("anyOf") == _INT_OR_STRING else set()


def _check_nested(part: Any, path: str, whole: Object, whole_path: str, depth: int) -> Iterator[Cause]:
    if depth <= 0:
        yield forbidden(path, f"schemas may be nested at most {DEPTH_MAX} deep")
        return
    shape = list(_check_shape(part, path))
    yield from shape
    if shape:
        return
    yield from _check_keywords({name: value for name, value in part.items() if name != "additionalProperties"}, path)
    for name, why in _STRUCTURAL_ONLY.items():
        if part.get(name) not in (None, "", False, []):
            yield forbidden(f"{path}.{name}", why)
    for name, below in (part.get("properties") or {}).items():
        if name == "metadata":
            yield forbidden(key(path, name), "must not be specified in a nested context")
            continue
        known = (whole.get("properties") or {}).get(name) or whole.get("additionalProperties")
        yield from _check_complete(below, key(path, name), known, key(whole_path, name), depth)
    if part.get("items") is not None:
        known = whole.get("items")
        yield from _check_complete(part["items"], f"{path}.items", known, f"{whole_path}.items", depth)
    yield from _check_combinations(part, path, whole, whole_path, depth)


def _check_complete(part: Any, path: str, known: Any, known_path: str, depth: int) -> Iterator[Cause]:
    if isinstance(known, dict):
        yield from _check_nested(part, path, known, known_path, depth - 1)
    else:
        yield required(known_path, f"because it is defined in {path}")

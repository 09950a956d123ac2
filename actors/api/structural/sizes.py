"""How large what a schema describes can be, and how often: what the cost of its rules is estimated from.

A request has at most 3 MiB, so what is not bounded by maxItems, maxLength and maxProperties is bounded by that
(apiextensions pkg/apiserver/schema/cel/model/schemas.go, apiserver pkg/cel/limits.go).
"""

from __future__ import annotations

from actors.api.cel.estimate import Path
from actors.api.cel.spans import MOST, Span
from actors.api.codec import Object
from actors.api.structural.words import escape

_REQUEST_BYTES = 3 * 1024 * 1024
_LEAST = {"integer": 1, "number": 1, "boolean": 4, "string": 2, "array": 2, "object": 2}
_FORMATS = {"date": 12, "date-time": 22, "duration": 32}


def least_bytes(schema: Object) -> int:
    """As JSON."""
    type_name = schema.get("type") or ""
    if type_name != "object" or (schema.get("x-kubernetes-preserve-unknown-fields") and not schema.get("properties")):
        return _LEAST.get(type_name, 1)
    properties, total = schema.get("properties") or {}, 2
    for name in schema.get("required") or ():
        part = properties.get(name)
        if isinstance(part, dict) and part.get("default") is None:
            total += len(name) + 4 + least_bytes(part)
    return total


def items_most(schema: Object) -> int:
    """The entries of an array or a map."""
    if schema.get("type") == "array":
        if schema.get("maxItems") is not None:
            return max(int(schema["maxItems"]), 0)
        items = schema.get("items")
        return (_REQUEST_BYTES - 2) // ((least_bytes(items) if isinstance(items, dict) else 1) + 1)
    if schema.get("maxProperties") is not None:
        return max(int(schema["maxProperties"]), 0)
    values = schema.get("additionalProperties")
    return (_REQUEST_BYTES - 2) // ((least_bytes(values) if isinstance(values, dict) else 1) + 6)


def times_most(schema: Object) -> int:
    """How often such a value can be in one request."""
    return _REQUEST_BYTES // (least_bytes(schema) + 1)


def size_at(schema: Object, path: Path) -> Span | None:
    """Of what an expression names by `path` below `schema`; its first word is the variable."""
    here: Object | None = schema
    for word in path[1:]:
        if here is None:
            return None
        if word == "@keys" and here.get("type") != "array":
            return Span(0, _REQUEST_BYTES - 2)
        here = _child(here, word)
    return _size(here) if here is not None else None


def _child(schema: Object, word: str) -> Object | None:
    if word == "@items" or (word.startswith("@") and schema.get("type") == "array"):
        found = schema.get("items")
    elif word == "@values":
        found = schema.get("additionalProperties")
    else:
        properties = schema.get("properties") or {}
        found = next((part for name, part in properties.items() if escape(name) == word), None)
        found = found if found is not None else schema.get("additionalProperties")
    return found if isinstance(found, dict) else None


def _size(schema: Object) -> Span | None:
    match schema.get("type"):
        case "string":
            return Span(0, _chars_most(schema))
        case "array":
            return Span(0, items_most(schema))
        case "object" if isinstance(schema.get("additionalProperties"), dict):
            return Span(0, items_most(schema))
        case "integer" | "number" | "boolean":
            return Span(1, 1)
    return Span(0, _REQUEST_BYTES - 2) if schema.get("x-kubernetes-int-or-string") else None


def _chars_most(schema: Object) -> int:
    """In bytes: a character has up to four."""
    name = schema.get("format") or ""
    if name in ("duration", "date", "date-time"):
        return _FORMATS[name]
    if schema.get("maxLength") is not None:
        return min(max(int(schema["maxLength"]), 0) * (1 if name == "byte" else 4), MOST)
    if schema.get("enum"):
        return max(len(choice) if isinstance(choice, str) else 0 for choice in schema["enum"])
    return _REQUEST_BYTES - 2

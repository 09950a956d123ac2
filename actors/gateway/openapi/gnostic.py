"""A document of version 2 in the protobuf form that kubectl asks for (google/gnostic openapiv2/OpenAPIv2.proto).

kubectl reads it where it needs all kinds at once: validation of `kind: List`, `explain --output plaintext-openapiv2`.
A message is a table of field names to numbers and types; what it has no field for is left out, as gnostic leaves it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

_VARINT, _FIXED64, _BYTES = 0, 1, 2
_Row = tuple[int, str]

#: message -> JSON name -> (number, type). "[]" is a list; "x-" stands for all vendor extensions.
_MESSAGES: dict[str, dict[str, _Row]] = {
    "Document": {
        "swagger": (1, "string"),
        "info": (2, "Info"),
        "paths": (8, "Paths"),
        "definitions": (9, "Schemas"),
        "securityDefinitions": (13, "Securities"),
        "x-": (16, "NamedAny"),
    },
    "Info": {"title": (1, "string"), "version": (2, "string"), "description": (3, "string")},
    "ApiKey": {"type": (1, "string"), "name": (2, "string"), "in": (3, "string"), "description": (4, "string")},
    "PathItem": {
        "get": (2, "Operation"),
        "put": (3, "Operation"),
        "post": (4, "Operation"),
        "delete": (5, "Operation"),
        "options": (6, "Operation"),
        "head": (7, "Operation"),
        "patch": (8, "Operation"),
        "parameters": (9, "[]Parameter"),
        "x-": (10, "NamedAny"),
    },
    "Operation": {
        "tags": (1, "[]string"),
        "summary": (2, "string"),
        "description": (3, "string"),
        "operationId": (5, "string"),
        "produces": (6, "[]string"),
        "consumes": (7, "[]string"),
        "parameters": (8, "[]Parameter"),
        "responses": (9, "Responses"),
        "schemes": (10, "[]string"),
        "deprecated": (11, "bool"),
        "x-": (13, "NamedAny"),
    },
    "Body": {
        "description": (1, "string"),
        "name": (2, "string"),
        "in": (3, "string"),
        "required": (4, "bool"),
        "schema": (5, "Schema"),
    },
    "Query": {
        "required": (1, "bool"),
        "in": (2, "string"),
        "description": (3, "string"),
        "name": (4, "string"),
        "type": (6, "string"),
        "format": (7, "string"),
        "uniqueItems": (20, "bool"),
    },
    "Path": {
        "required": (1, "bool"),
        "in": (2, "string"),
        "description": (3, "string"),
        "name": (4, "string"),
        "type": (5, "string"),
        "format": (6, "string"),
        "uniqueItems": (19, "bool"),
    },
    "Response": {"description": (1, "string"), "schema": (2, "SchemaItem"), "x-": (5, "NamedAny")},
    "Schema": {
        "$ref": (1, "string"),
        "format": (2, "string"),
        "title": (3, "string"),
        "description": (4, "string"),
        "default": (5, "Any"),
        "multipleOf": (6, "double"),
        "maximum": (7, "double"),
        "exclusiveMaximum": (8, "bool"),
        "minimum": (9, "double"),
        "exclusiveMinimum": (10, "bool"),
        "maxLength": (11, "int64"),
        "minLength": (12, "int64"),
        "pattern": (13, "string"),
        "maxItems": (14, "int64"),
        "minItems": (15, "int64"),
        "uniqueItems": (16, "bool"),
        "maxProperties": (17, "int64"),
        "minProperties": (18, "int64"),
        "required": (19, "[]string"),
        "enum": (20, "[]Any"),
        "additionalProperties": (21, "SchemaOrBool"),
        "type": (22, "TypeItem"),
        "items": (23, "ItemsItem"),
        "properties": (25, "Schemas"),
        "example": (30, "Any"),
        "x-": (31, "NamedAny"),
    },
}


def encode_v2(document: Mapping[str, Any]) -> bytes:
    """Of `v2_document`."""
    return _message("Document", document)


def _message(name: str, value: Mapping[str, Any]) -> bytes:
    fields, parts = _MESSAGES[name], []
    for key, item in value.items():
        row = fields.get(key)
        if row is not None:
            parts.append(_field(row[0], row[1], item))
        elif key.startswith("x-") and "x-" in fields:
            parts.append(_delimited(fields["x-"][0], _named(key, _any(item))))
    return b"".join(parts)


def _field(number: int, type_name: str, value: Any) -> bytes:
    if type_name.startswith("[]"):
        return b"".join(_field(number, type_name[2:], item) for item in value)
    match type_name:
        case "bool":
            return _tag(number, _VARINT) + (b"\1" if value else b"\0")
        case "int64":
            return _tag(number, _VARINT) + _varint(int(value) & (2**64 - 1))
        case "double":
            return _tag(number, _FIXED64) + struct.pack("<d", value)
    special = _SPECIAL.get(type_name)
    return _delimited(number, special(value) if special else _message(type_name, value))


def _any(value: Any) -> bytes:
    """JSON is YAML, which is how gnostic keeps what it has no type for."""
    return _delimited(2, msgspec.json.encode(value))


def _named(name: str, value: bytes) -> bytes:
    return _delimited(1, name.encode()) + _delimited(2, value)


def _each(number: int, encode: Callable[[Any], bytes]) -> Callable[[Mapping[str, Any]], bytes]:
    """A map as a list of pairs."""
    return lambda value: b"".join(_delimited(number, _named(name, encode(item))) for name, item in value.items())


def _of(name: str) -> Callable[[Any], bytes]:
    return lambda value: _message(name, value)


def _parameter(value: Mapping[str, Any]) -> bytes:
    """ParametersItem{Parameter{BodyParameter | NonBodyParameter{query | path}}}."""
    match value["in"]:
        case "body":
            return _delimited(1, _delimited(1, _message("Body", value)))
        case "path":
            return _delimited(1, _delimited(2, _delimited(4, _message("Path", value))))
    return _delimited(1, _delimited(2, _delimited(3, _message("Query", value))))


def _schema_or_bool(value: Any) -> bytes:
    if isinstance(value, bool):
        return _field(2, "bool", value)
    return _delimited(1, _message("Schema", value))


def _strings(value: Any) -> bytes:
    return _field(1, "[]string", [value] if isinstance(value, str) else value)


_SPECIAL: dict[str, Callable[[Any], bytes]] = {
    "string": lambda value: str(value).encode(),
    "Any": _any,
    "Paths": _each(2, _of("PathItem")),
    "Schemas": _each(1, _of("Schema")),
    "Securities": _each(1, lambda value: _delimited(2, _message("ApiKey", value))),
    "Responses": _each(1, lambda value: _delimited(1, _message("Response", value))),
    "Parameter": _parameter,
    "SchemaItem": lambda value: _delimited(1, _message("Schema", value)),
    "SchemaOrBool": _schema_or_bool,
    "TypeItem": _strings,
    "ItemsItem": lambda value: _delimited(1, _message("Schema", value)),
}


def _tag(number: int, wire: int) -> bytes:
    return _varint(number << 3 | wire)


def _delimited(number: int, data: bytes) -> bytes:
    return _tag(number, _BYTES) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)

"""A document of version 3 in the protobuf form that client-go asks for (google/gnostic openapiv3/OpenAPIv3.proto)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actors.gateway.openapi.gnostic import Encoder, Messages

_MESSAGES: Messages = {
    "Document": {
        "openapi": (1, "string"),
        "info": (2, "Info"),
        "paths": (4, "Paths"),
        "components": (5, "Components"),
        "x-": (9, "NamedAny"),
    },
    "Info": {"title": (1, "string"), "description": (2, "string"), "version": (6, "string"), "x-": (7, "NamedAny")},
    "Components": {"schemas": (1, "Schemas"), "securitySchemes": (7, "Securities"), "x-": (10, "NamedAny")},
    "SecurityScheme": {
        "type": (1, "string"),
        "description": (2, "string"),
        "name": (3, "string"),
        "in": (4, "string"),
        "scheme": (5, "string"),
    },
    "PathItem": {
        "summary": (2, "string"),
        "description": (3, "string"),
        "get": (4, "Operation"),
        "put": (5, "Operation"),
        "post": (6, "Operation"),
        "delete": (7, "Operation"),
        "options": (8, "Operation"),
        "head": (9, "Operation"),
        "patch": (10, "Operation"),
        "parameters": (13, "[]ParameterOrReference"),
        "x-": (14, "NamedAny"),
    },
    "Operation": {
        "tags": (1, "[]string"),
        "summary": (2, "string"),
        "description": (3, "string"),
        "operationId": (5, "string"),
        "parameters": (6, "[]ParameterOrReference"),
        "requestBody": (7, "BodyOrReference"),
        "responses": (8, "Responses"),
        "deprecated": (10, "bool"),
        "x-": (13, "NamedAny"),
    },
    "Parameter": {
        "name": (1, "string"),
        "in": (2, "string"),
        "description": (3, "string"),
        "required": (4, "bool"),
        "schema": (10, "SchemaOrReference"),
        "x-": (14, "NamedAny"),
    },
    "RequestBody": {
        "description": (1, "string"),
        "content": (2, "MediaTypes"),
        "required": (3, "bool"),
        "x-": (4, "NamedAny"),
    },
    "Response": {"description": (1, "string"), "content": (3, "MediaTypes"), "x-": (5, "NamedAny")},
    "MediaType": {"schema": (1, "SchemaOrReference"), "x-": (5, "NamedAny")},
    "Reference": {"$ref": (1, "string"), "summary": (2, "string"), "description": (3, "string")},
    "Schema": {
        "nullable": (1, "bool"),
        "readOnly": (3, "bool"),
        "writeOnly": (4, "bool"),
        "example": (7, "Any"),
        "deprecated": (8, "bool"),
        "title": (9, "string"),
        "multipleOf": (10, "double"),
        "maximum": (11, "double"),
        "exclusiveMaximum": (12, "bool"),
        "minimum": (13, "double"),
        "exclusiveMinimum": (14, "bool"),
        "maxLength": (15, "int64"),
        "minLength": (16, "int64"),
        "pattern": (17, "string"),
        "maxItems": (18, "int64"),
        "minItems": (19, "int64"),
        "uniqueItems": (20, "bool"),
        "maxProperties": (21, "int64"),
        "minProperties": (22, "int64"),
        "required": (23, "[]string"),
        "enum": (24, "[]Any"),
        "type": (25, "string"),
        "allOf": (26, "[]SchemaOrReference"),
        "oneOf": (27, "[]SchemaOrReference"),
        "anyOf": (28, "[]SchemaOrReference"),
        "not": (29, "Schema"),
        "items": (30, "Items"),
        "properties": (31, "Schemas"),
        "additionalProperties": (32, "SchemaOrBool"),
        "default": (33, "Default"),
        "description": (34, "string"),
        "format": (35, "string"),
        "x-": (36, "NamedAny"),
    },
}


def encode_v3(document: Mapping[str, Any]) -> bytes:
    """Of `v3_document`."""
    return _ENCODER.message("Document", document)


def _default(value: Any) -> bytes:
    """A number, a word or a truth: gnostic has no place for others."""
    if isinstance(value, bool):
        return _ENCODER.field(2, "bool", value)
    if isinstance(value, int | float):
        return _ENCODER.field(1, "double", value)
    return _ENCODER.field(3, "string", value) if isinstance(value, str) else b""


def _schema_or_bool(value: Any) -> bytes:
    return (
        _ENCODER.field(2, "bool", value) if isinstance(value, bool) else _ENCODER.field(1, "SchemaOrReference", value)
    )


def _or_reference(type_name: str) -> Any:
    def encode(value: Mapping[str, Any]) -> bytes:
        return _ENCODER.field(2, "Reference", value) if "$ref" in value else _ENCODER.field(1, type_name, value)

    return encode


_ENCODER = Encoder(_MESSAGES)
_ENCODER.special |= {
    "Paths": _ENCODER.each(1, "PathItem"),
    "Schemas": _ENCODER.each(1, "SchemaOrReference"),
    "Securities": _ENCODER.each(1, "SecurityOrReference"),
    "MediaTypes": _ENCODER.each(1, "MediaType"),
    "Responses": _ENCODER.each(2, "ResponseOrReference"),
    "Items": _ENCODER.within(1, "SchemaOrReference"),
    "SchemaOrReference": _or_reference("Schema"),
    "ParameterOrReference": _or_reference("Parameter"),
    "BodyOrReference": _or_reference("RequestBody"),
    "ResponseOrReference": _or_reference("Response"),
    "SecurityOrReference": _or_reference("SecurityScheme"),
    "SchemaOrBool": _schema_or_bool,
    "Default": _default,
}

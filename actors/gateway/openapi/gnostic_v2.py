"""A document of version 2 in the protobuf form that kubectl asks for (google/gnostic openapiv2/OpenAPIv2.proto).

kubectl reads it where it needs all kinds at once: validation of `kind: List`, `explain --output plaintext-openapiv2`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actors.gateway.openapi.gnostic import Encoder, Messages, delimited

_MESSAGES: Messages = {
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
    return _ENCODER.message("Document", document)


def _parameter(value: Mapping[str, Any]) -> bytes:
    """ParametersItem{Parameter{BodyParameter | NonBodyParameter{query | path}}}."""
    match value["in"]:
        case "body":
            return delimited(1, delimited(1, _ENCODER.message("Body", value)))
        case "path":
            return delimited(1, delimited(2, delimited(4, _ENCODER.message("Path", value))))
    return delimited(1, delimited(2, delimited(3, _ENCODER.message("Query", value))))


def _schema_or_bool(value: Any) -> bytes:
    if isinstance(value, bool):
        return _ENCODER.field(2, "bool", value)
    return delimited(1, _ENCODER.message("Schema", value))


def _strings(value: Any) -> bytes:
    return _ENCODER.field(1, "[]string", [value] if isinstance(value, str) else value)


_ENCODER = Encoder(_MESSAGES)
_ENCODER.special |= {
    "Paths": _ENCODER.each(2, "PathItem"),
    "Schemas": _ENCODER.each(1, "Schema"),
    "Securities": _ENCODER.each(1, "Security"),
    "Security": _ENCODER.within(2, "ApiKey"),
    "Responses": _ENCODER.each(1, "ResponseItem"),
    "ResponseItem": _ENCODER.within(1, "Response"),
    "Parameter": _parameter,
    "SchemaItem": _ENCODER.within(1, "Schema"),
    "SchemaOrBool": _schema_or_bool,
    "TypeItem": _strings,
    "ItemsItem": _ENCODER.within(1, "Schema"),
}

"""The schemas of built-in kinds as OpenAPI shows them, made once and shared by every document. Pure.

Version 3 wraps each reference in `allOf`, so that a description may stand beside it; version 2 has them side by side.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from enum import StrEnum
from functools import lru_cache
from importlib import resources
from typing import Any

import msgspec

from actors.api.schema import Definition, Field, definition

Document = dict[str, Any]


class Version(StrEnum):
    """Of OpenAPI; the value is where references to schemas point."""

    V2 = "#/definitions/"
    V3 = "#/components/schemas/"


_SCALARS: dict[str, Document] = {
    "string": {"type": "string"},
    "int": {"type": "integer", "format": "int64"},
    "int32": {"type": "integer", "format": "int32"},
    "bool": {"type": "boolean"},
    "number": {"type": "number", "format": "double"},
    "bytes": {"type": "string", "format": "byte"},
    "any": {"type": "object"},
}
#: What has a name and no fields.
_NAMED: dict[str, Document] = {
    "api.resource.Quantity": {"type": "string"},
    "util.intstr.IntOrString": {"type": "string", "format": "int-or-string"},
    "meta.v1.Time": {"type": "string", "format": "date-time"},
    "meta.v1.MicroTime": {"type": "string", "format": "date-time"},
    "apiextensions.v1.JSON": {},
    "apiextensions.v1.JSONSchemaPropsOrArray": {},
    "apiextensions.v1.JSONSchemaPropsOrBool": {},
    "apiextensions.v1.JSONSchemaPropsOrStringArray": {},
}
_NAMED_V3: dict[str, Document] = {
    "api.resource.Quantity": {"oneOf": [{"type": "string"}, {"type": "number"}]},
    "util.intstr.IntOrString": {"oneOf": [{"type": "integer"}, {"type": "string"}], "format": "int-or-string"},
}
_MACHINERY = "io.k8s.apimachinery.pkg."
#: Where Kubernetes keeps what is not in its module k8s.io/api.
_PREFIXES = {
    "meta": f"{_MACHINERY}apis.",
    "api": _MACHINERY,
    "util": _MACHINERY,
    "runtime": _MACHINERY,
    "apiextensions": "io.k8s.apiextensions-apiserver.pkg.apis.",
    "apiregistration": "io.k8s.kube-aggregator.pkg.apis.",
}


def long_name(name: str) -> str:
    """`core.v1.Pod` -> `io.k8s.api.core.v1.Pod`."""
    return _PREFIXES.get(name.split(".")[0], "io.k8s.api.") + name


def closure(names: Iterator[str], version: Version) -> dict[str, Document]:
    """The schemas of these and of all that they refer to, by long name. Unknown names are passed over."""
    found: dict[str, Document] = {}
    pending = list(names)
    while pending:
        name = pending.pop()
        if long_name(name) in found:
            continue
        schema = schema_of(name, version)
        if schema is not None:
            found[long_name(name)] = schema
            pending += _needs(name)
    return found


@lru_cache(maxsize=4096)
def _needs(name: str) -> tuple[str, ...]:
    known = definition(name)
    types = {_innermost(field.type) for field in known.fields.values()} if known else set()
    return tuple(sorted(element for element in types if element not in _SCALARS))


def _innermost(type_name: str) -> str:
    while type_name.startswith(("[]", "map:")):
        type_name = type_name.removeprefix("[]").removeprefix("map:")
    return type_name


@lru_cache(maxsize=4096)
def schema_of(name: str, version: Version) -> Document | None:
    """Shared: not to be changed by who gets it."""
    known = definition(name)
    told, fields_told = _descriptions().get(name, ("", {}))
    if known is not None:
        return _described(told, _object(known, fields_told, version))
    if name in _SCALARS or "." not in name:
        return None
    named = _NAMED_V3.get(name) if version is Version.V3 else None
    return _described(told, {**(named or _NAMED.get(name, {"type": "object"}))})


@lru_cache(maxsize=1)
def _descriptions() -> dict[str, tuple[str, dict[str, str]]]:
    text = resources.files("actors.gateway.openapi").joinpath("descriptions.json.gz").read_bytes()
    return msgspec.json.decode(gzip.decompress(text), type=dict[str, tuple[str, dict[str, str]]])


def _described(text: str, schema: Document) -> Document:
    return {"description": text, **schema} if text else schema


def _object(known: Definition, told: dict[str, str], version: Version) -> Document:
    schema: Document = {"type": "object"}
    if known.fields:
        schema["properties"] = {
            name: _described(told.get(name, ""), _field(name, field, version)) for name, field in known.fields.items()
        }
    if known.required:
        schema["required"] = list(known.required)
    if known.map_type:
        schema["x-kubernetes-map-type"] = known.map_type
    return schema


def _field(name: str, field: Field, version: Version) -> Document:
    schema = _type(field.type, version)
    if field.merge_key is not None or field.retain_keys:
        words = ["merge"] * (field.merge_key is not None) + ["retainKeys"] * field.retain_keys
        schema["x-kubernetes-patch-strategy"] = ",".join(words)
    if field.merge_key:
        schema["x-kubernetes-patch-merge-key"] = field.merge_key
    if field.list_type:
        schema["x-kubernetes-list-type"] = field.list_type
    if field.map_keys:
        schema["x-kubernetes-list-map-keys"] = list(field.map_keys)
    if field.map_type and not field.is_struct:
        schema["x-kubernetes-map-type"] = field.map_type
    if field.enum and name not in ("apiVersion", "kind"):
        schema["enum"] = list(field.enum)
    return schema


def _type(type_name: str, version: Version) -> Document:
    if type_name.startswith("[]"):
        return {"type": "array", "items": _type(type_name[2:], version)}
    if type_name.startswith("map:"):
        return {"type": "object", "additionalProperties": _type(type_name[4:], version)}
    if type_name in _SCALARS:
        return dict(_SCALARS[type_name])
    pointer = {"$ref": version.value + long_name(type_name)}
    return {"allOf": [pointer]} if version is Version.V3 else pointer

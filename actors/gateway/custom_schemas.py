"""The OpenAPI schemas of a custom kind, as kube-apiserver publishes them (apiextensions-apiserver openapi/builder)."""

from __future__ import annotations

from typing import Any

from actors.api.codec import Object
from actors.api.crd.kinds import CustomKind

_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_API_VERSION = (
    "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized "
    "schemas to the latest internal value, and may reject unrecognized values."
)
_KIND = "Kind is a string value representing the REST resource this object represents."
#: What version 2 of OpenAPI has no words for.
_V3_ONLY = frozenset({"oneOf", "anyOf", "allOf", "not", "nullable", "x-kubernetes-validations"})


def custom_schemas(kind: CustomKind, prefix: str) -> dict[str, Object]:
    """The object and its list, by name. `prefix` is where references point."""
    name = schema_name(kind, kind.kind)
    is_v3 = prefix.startswith("#/components")
    schema = kind.schema if is_v3 else _for_v2(kind.schema)
    properties = {**schema.get("properties", {}), **_type_meta(prefix, "ObjectMeta")}
    shown = {**schema, "properties": properties, "x-kubernetes-group-version-kind": [_gvk(kind, kind.kind)]}
    listed = {
        "type": "object",
        "description": f"{kind.list_kind} is a list of {kind.kind}",
        "required": ["items"],
        "properties": {
            **_type_meta(prefix, "ListMeta"),
            "items": {"type": "array", "items": _reference(prefix, name), "description": f"List of {kind.plural}."},
        },
        "x-kubernetes-group-version-kind": [_gvk(kind, kind.list_kind)],
    }
    return {name: shown, schema_name(kind, kind.list_kind): listed}


def schema_name(kind: CustomKind, name: str) -> str:
    """`com.example.stable.v1.CronTab`."""
    return ".".join([*reversed(kind.group.split(".")), kind.version, name])


def _gvk(kind: CustomKind, name: str) -> Object:
    return {"group": kind.group, "version": kind.version, "kind": name}


def _type_meta(prefix: str, metadata: str) -> Object:
    return {
        "apiVersion": {"type": "string", "description": _API_VERSION},
        "kind": {"type": "string", "description": _KIND},
        "metadata": _reference(prefix, _META + metadata),
    }


def _reference(prefix: str, name: str) -> Object:
    reference = {"$ref": prefix + name}
    return {"allOf": [reference]} if prefix.startswith("#/components") else reference


def _for_v2(schema: Any) -> Any:
    """A place that keeps unknown fields has no type there: clients would refuse those fields."""
    kept = {name: value for name, value in schema.items() if name not in _V3_ONLY}
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        kept = {name: value for name, value in kept.items() if name not in ("type", "properties", "items")}
    if schema.get("x-kubernetes-int-or-string"):
        kept["x-kubernetes-int-or-string"] = True
    if isinstance(kept.get("properties"), dict):
        kept["properties"] = {name: _for_v2(part) for name, part in kept["properties"].items()}
    for name in ("items", "additionalProperties"):
        if isinstance(kept.get(name), dict):
            kept[name] = _for_v2(kept[name])
    return kept

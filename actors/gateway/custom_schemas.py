"""The OpenAPI schemas of a custom kind, as kube-apiserver publishes them (apiextensions-apiserver openapi/builder)."""

from __future__ import annotations

from typing import Any

from actors.api.codec import Object
from actors.api.crd.kinds import CustomKind

_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_CONVENTIONS = "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md"
_VERSIONED = (
    "defines the versioned schema of this representation of an object. Servers should convert recognized schemas to "
    f"the latest internal value, and may reject unrecognized values. More info: {_CONVENTIONS}#resources"
)
_INFERRED = (
    "Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. "
    f"More info: {_CONVENTIONS}#types-kinds"
)
_API_VERSION = f"APIVersion {_VERSIONED}"
_KIND = f"Kind is a string value representing the REST resource this object represents. {_INFERRED}"
_EMBEDDED_KIND = f"kind is a string value representing the type of this object. {_INFERRED}"
_METADATA = f"Standard object's metadata. More info: {_CONVENTIONS}#metadata"
_LIST_METADATA = f"Standard list metadata. More info: {_CONVENTIONS}#types-kinds"
_EMBEDDED, _PRESERVE = "x-kubernetes-embedded-resource", "x-kubernetes-preserve-unknown-fields"
#: What version 2 of OpenAPI has no words for.
_V3_ONLY = frozenset({"oneOf", "anyOf", "allOf", "not", "nullable", "x-kubernetes-validations"})


def custom_schemas(kind: CustomKind, prefix: str) -> dict[str, Object]:
    """The object and its list, by name. `prefix` is where references point."""
    name = schema_name(kind, kind.kind)
    is_v3 = prefix.startswith("#/components")
    gvk = {"x-kubernetes-group-version-kind": [_gvk(kind, kind.kind)]}
    if not is_v3 and kind.schema.get(_PRESERVE):
        shown: Object = {"type": "object", **gvk}
    else:
        schema = _with_embedded(kind.schema if is_v3 else _for_v2(kind.schema), prefix)
        properties = {**schema.get("properties", {}), **_type_meta(prefix, "ObjectMeta", _METADATA)}
        shown = {**schema, "properties": properties, **gvk}
    listed = {
        "type": "object",
        "description": f"{kind.list_kind} is a list of {kind.kind}",
        "required": ["items"],
        "properties": {
            **_type_meta(prefix, "ListMeta", _LIST_METADATA),
            "items": {
                "type": "array",
                "items": _reference(prefix, name),
                "description": f"List of {kind.plural}. More info: {_CONVENTIONS}",
            },
        },
        "x-kubernetes-group-version-kind": [_gvk(kind, kind.list_kind)],
    }
    return {name: shown, schema_name(kind, kind.list_kind): listed}


def schema_name(kind: CustomKind, name: str) -> str:
    """`com.example.stable.v1.CronTab`."""
    return ".".join([*reversed(kind.group.split(".")), kind.version, name])


def _gvk(kind: CustomKind, name: str) -> Object:
    return {"group": kind.group, "version": kind.version, "kind": name}


def _type_meta(prefix: str, metadata: str, told: str) -> Object:
    return {
        "apiVersion": {"type": "string", "description": _API_VERSION},
        "kind": {"type": "string", "description": _KIND},
        "metadata": {**_reference(prefix, _META + metadata), "description": told},
    }


def _with_embedded(schema: Object, prefix: str) -> Object:
    """Resources within the resource have what every object has. In version 2 not those that keep unknown fields:
    clients would take what is named there for all that there may be."""
    shown = dict(schema)
    if isinstance(schema.get("properties"), dict):
        shown["properties"] = {name: _with_embedded(part, prefix) for name, part in schema["properties"].items()}
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            shown[name] = _with_embedded(schema[name], prefix)
    if not schema.get(_EMBEDDED) or (schema.get(_PRESERVE) and not prefix.startswith("#/components")):
        return shown
    shown["properties"] = {
        **shown.get("properties", {}),
        "apiVersion": {"type": "string", "description": f"apiVersion {_VERSIONED}"},
        "kind": {"type": "string", "description": _EMBEDDED_KIND},
        "metadata": {**_reference(prefix, f"{_META}ObjectMeta"), "description": _METADATA},
    }
    required = schema.get("required") or []
    shown["required"] = [*required, *(name for name in ("kind", "apiVersion") if name not in required)]
    return shown


def _reference(prefix: str, name: str) -> Object:
    reference = {"$ref": prefix + name}
    return {"allOf": [reference]} if prefix.startswith("#/components") else reference


def _for_v2(schema: Any) -> Any:
    """A place that keeps unknown fields, or may be null, has no type there: clients would refuse that."""
    kept = {name: value for name, value in schema.items() if name not in _V3_ONLY}
    if schema.get(_PRESERVE) or schema.get("nullable"):
        kept = {name: value for name, value in kept.items() if name not in ("type", "properties", "items")}
    if schema.get("x-kubernetes-int-or-string"):
        kept["x-kubernetes-int-or-string"] = True
    if isinstance(kept.get("properties"), dict):
        kept["properties"] = {name: _for_v2(part) for name, part in kept["properties"].items()}
    for name in ("items", "additionalProperties"):
        if isinstance(kept.get(name), dict):
            kept[name] = _for_v2(kept[name])
    return kept

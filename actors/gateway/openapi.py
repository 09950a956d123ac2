"""OpenAPI documents from the table of schemas: v3 per group version, v2 for all. Pure; the shell caches and gzips them.

kubectl reads from them what `apply`, `create -f`, `explain` and `diff` need: fields, merge keys, which path serves
which kind, and that writes take `fieldValidation`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from actors.api.crd.kinds import CustomKind
from actors.api.errors import NotFound
from actors.api.kinds import Kind
from actors.api.schema import Definition, Field, definition, definition_name
from actors.gateway.custom_schemas import custom_schemas
from actors.gateway.discovery import VERSION
from actors.gateway.served import STATIC, SUBRESOURCES, Served, subresources_of

Document = dict[str, Any]
_SCALARS: dict[str, Document] = {
    "string": {"type": "string"},
    "int": {"type": "integer", "format": "int64"},
    "bool": {"type": "boolean"},
    "number": {"type": "number", "format": "double"},
    "bytes": {"type": "string", "format": "byte"},
    "any": {"type": "object"},
    "api.resource.Quantity": {"type": "string"},
    "util.intstr.IntOrString": {"type": "string", "format": "int-or-string"},
    "meta.v1.Time": {"type": "string", "format": "date-time"},
    "meta.v1.MicroTime": {"type": "string", "format": "date-time"},
    "meta.v1.FieldsV1": {"type": "object"},
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
_INFO = {"title": "raypod", "version": VERSION["gitVersion"]}
_WRITE_PARAMETERS = ("dryRun", "fieldManager", "fieldValidation")
_METHODS = {"create": "post", "update": "put", "patch": "patch", "get": "get", "delete": "delete"}


def long_name(name: str) -> str:
    """`core.v1.Pod` -> `io.k8s.api.core.v1.Pod`."""
    return _PREFIXES.get(name.split(".")[0], "io.k8s.api.") + name


def v3_root(served: Served = STATIC) -> Document:
    """`/openapi/v3`."""
    url = f"/openapi/v3/{{}}?hash={VERSION['gitVersion']}"
    paths = {path: url.format(path) + (served.tag if is_custom(path, served) else "") for path in v3_paths(served)}
    return {"paths": {path: {"serverRelativeURL": url} for path, url in paths.items()}}


def v3_paths(served: Served = STATIC) -> dict[str, tuple[str, str]]:
    """`apis/apps/v1` -> ("apps", "v1")."""
    return {(f"apis/{g}/{v}" if g else f"api/{v}"): (g, v) for g, v in served.groups}


def is_custom(path: str, served: Served) -> bool:
    """Whether a document of version 3 tells of custom kinds."""
    return any(kind.is_custom for kind in served.groups.get(v3_paths(served).get(path, ("", "")), ()))


def v3_document(path: str, served: Served = STATIC) -> Document:
    """`/openapi/v3/apis/apps/v1`. Raises NotFound."""
    group_version = v3_paths(served).get(path)
    if group_version is None:
        raise NotFound("the server could not find the requested resource")
    render = _Renderer("#/components/schemas/")
    kinds = served.groups[group_version]
    paths = {path: item for kind in kinds for path, item in _paths_of(kind)}
    return {"openapi": "3.0.0", "info": _INFO, "paths": paths, "components": {"schemas": render.schemas(kinds)}}


def v2_document(served: Served = STATIC) -> Document:
    """`/openapi/v2`."""
    render = _Renderer("#/definitions/")
    kinds = [kind for group in served.groups.values() for kind in group]
    paths = {path: item for kind in kinds for path, item in _paths_of(kind)}
    return {"swagger": "2.0", "info": _INFO, "paths": paths, "definitions": render.schemas(kinds)}


class _Renderer:
    """Schemas of some kinds and of all that they refer to. `prefix` is where references point."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.done: dict[str, Document] = {}
        self.pending: list[str] = []

    def schemas(self, kinds: list[Kind] | tuple[Kind, ...]) -> dict[str, Document]:
        for kind in kinds:
            if isinstance(kind, CustomKind):
                self.done |= custom_schemas(kind, self.prefix)
        versions = {definition_name(kind.api_version, kind.kind): kind for kind in kinds if not kind.is_custom}
        subresources = (sub for kind in kinds for _, sub in subresources_of(kind))
        self.pending = [*versions, "meta.v1.DeleteOptions", "meta.v1.ObjectMeta", "meta.v1.ListMeta"]
        self.pending += [f"{sub.group or 'core'}.{sub.version}.{sub.kind}" for sub in subresources if sub.kind]
        while self.pending:
            name = self.pending.pop()
            found = definition(name)
            if found is not None and long_name(name) not in self.done:
                self.done[long_name(name)] = self._object(found, versions.get(name))
        return dict(sorted(self.done.items()))

    def _object(self, found: Definition, kind: Kind | None) -> Document:
        schema: Document = {"type": "object"}
        if found.fields:
            schema["properties"] = {name: self._field(name, field) for name, field in found.fields.items()}
        if found.required:
            schema["required"] = list(found.required)
        if kind is not None:
            schema["x-kubernetes-group-version-kind"] = [_gvk(kind)]
        return schema

    def _field(self, name: str, field: Field) -> Document:
        schema = self._type(field.type)
        if field.merge_key is not None or field.retain_keys:
            words = ["merge"] * (field.merge_key is not None) + ["retainKeys"] * field.retain_keys
            schema["x-kubernetes-patch-strategy"] = ",".join(words)
        if field.merge_key:
            schema["x-kubernetes-patch-merge-key"] = field.merge_key
        if field.list_type:
            schema["x-kubernetes-list-type"] = field.list_type
        if field.map_keys:
            schema["x-kubernetes-list-map-keys"] = list(field.map_keys)
        if field.map_type:
            schema["x-kubernetes-map-type"] = field.map_type
        if field.enum and name not in ("apiVersion", "kind"):
            schema["enum"] = list(field.enum)
        return schema

    def _type(self, type_name: str) -> Document:
        if type_name.startswith("[]"):
            return {"type": "array", "items": self._type(type_name[2:])}
        if type_name.startswith("map:"):
            return {"type": "object", "additionalProperties": self._type(type_name[4:])}
        if definition(type_name) is None:
            return dict(_SCALARS.get(type_name, {"type": "object"}))
        self.pending.append(type_name)
        reference = {"$ref": self.prefix + long_name(type_name)}
        return {"allOf": [reference]} if self.prefix.startswith("#/components") else reference


def _gvk(kind: Kind) -> Document:
    return {"group": kind.group, "version": kind.version, "kind": kind.kind}


def _paths_of(kind: Kind) -> Iterator[tuple[str, Document]]:
    root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.api_version}"
    collection = f"{root}/namespaces/{{namespace}}/{kind.plural}" if kind.namespaced else f"{root}/{kind.plural}"
    if not kind.stored:
        yield collection, _item(kind, {"post": "post"})
        return
    yield collection, _item(kind, {"get": "list", "post": "post", "delete": "deletecollection"})
    if kind.namespaced:
        yield f"{root}/{kind.plural}", _item(kind, {"get": "list"})
    yield f"{collection}/{{name}}", _item(kind, {"get": "get", "put": "put", "patch": "patch", "delete": "delete"})
    for name, sub in subresources_of(kind):
        methods = {_METHODS[verb]: _METHODS[verb] for verb in SUBRESOURCES[name].verbs}
        shape = Kind(sub.group, sub.version, sub.kind, "") if sub.kind else kind
        yield f"{collection}/{{name}}/{name}", _item(shape, methods)


def _item(kind: Kind, methods: dict[str, str]) -> Document:
    return {method: _operation(kind, method, action) for method, action in methods.items()}


def _operation(kind: Kind, method: str, action: str) -> Document:
    operation: Document = {
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": _gvk(kind),
        "responses": {"200": {"description": "OK"}},
    }
    if method in ("post", "put", "patch"):
        operation["parameters"] = [
            {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
            for name in _WRITE_PARAMETERS
        ]
    return operation

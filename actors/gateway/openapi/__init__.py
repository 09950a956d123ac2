"""OpenAPI documents from the table of schemas: v3 per group version, v2 for all. Pure; the shell caches and gzips them.

kubectl reads from them what `apply`, `create -f`, `explain` and `diff` need: fields, merge keys, which path serves
which kind, and that writes take `fieldValidation`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from actors.api.crd.kinds import CustomKind
from actors.api.errors import NotFound
from actors.api.kinds import Kind
from actors.api.schema import definition_name
from actors.gateway.custom_schemas import custom_schemas
from actors.gateway.discovery import VERSION
from actors.gateway.openapi.merging import merged
from actors.gateway.openapi.operations import for_v2, gvk, paths_of, shapes_of
from actors.gateway.openapi.schemas import Document, Version, closure, long_name
from actors.gateway.served import STATIC, Served

__all__ = ["is_custom", "long_name", "v2_document", "v3_document", "v3_paths"]
_INFO = {"title": "raypod", "version": VERSION["gitVersion"]}
#: What every document has beside its kinds.
_ALWAYS = ("meta.v1.DeleteOptions", "meta.v1.ListMeta", "meta.v1.ObjectMeta", "meta.v1.Patch", "meta.v1.Status")
_SECURITY = {"BearerToken": {"type": "apiKey", "in": "header", "name": "authorization"}}


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
    kinds = served.groups[group_version]
    paths = {path: item for kind in kinds for path, item in paths_of(kind)}
    schemas = _schemas(kinds, Version.V3)
    components = {"schemas": schemas, "securitySchemes": _SECURITY}
    return {"openapi": "3.0.0", "info": _INFO, "paths": paths, "components": components}


def v2_document(served: Served = STATIC) -> Document:
    """`/openapi/v2`, with what other servers tell of theirs."""
    kinds = [kind for group in served.groups.values() for kind in group]
    paths = {path: for_v2(item) for kind in kinds for path, item in paths_of(kind)}
    document = {
        "swagger": "2.0",
        "info": _INFO,
        "paths": paths,
        "definitions": _schemas(kinds, Version.V2),
        "securityDefinitions": _SECURITY,
    }
    for found in served.remote.values():
        if found.swagger:
            document = merged(document, msgspec.json.decode(found.swagger))
    return document


def _schemas(kinds: Iterable[Kind], version: Version) -> dict[str, Document]:
    kinds = tuple(kinds)
    found = closure((name for kind in kinds for name in (*shapes_of(kind), *_ALWAYS)), version)
    for name, identities in _identities(kinds):
        if name in found:
            found[name] = {**found[name], "x-kubernetes-group-version-kind": identities}
    for kind in kinds:
        if isinstance(kind, CustomKind):
            found |= custom_schemas(kind, version.value)
    return dict(sorted(found.items()))


def _identities(kinds: Iterable[Kind]) -> Iterator[tuple[str, list[Document]]]:
    """Long names with the group, version and kind that they are known by."""
    groups = dict.fromkeys((kind.group, kind.version) for kind in kinds)
    options = [{"group": group, "version": version, "kind": "DeleteOptions"} for group, version in groups]
    yield long_name("meta.v1.DeleteOptions"), options
    yield long_name("meta.v1.Status"), [{"group": "", "version": "v1", "kind": "Status"}]
    for kind in kinds:
        if kind.is_custom:
            continue
        yield long_name(definition_name(kind.api_version, kind.kind)), [gvk(kind)]
        if kind.is_listed:
            yield long_name(definition_name(kind.api_version, kind.list_kind)), [gvk(kind, kind.list_kind)]

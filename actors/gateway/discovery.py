"""Discovery documents (/api, /apis and below), plain and aggregated (KEP-3352), and /version. Pure: data to data."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from actors.api.errors import NotFound
from actors.api.kinds import Kind
from actors.gateway.served import STATIC, RemoteVersion, Served, Subresource, subresources_of

AGGREGATED_TYPE = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
VERSION = {
    "major": "1",
    "minor": "37",
    "gitVersion": "v1.37.1+raypod",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2026-11-01T00:00:00Z",
    "goVersion": "go1.26",
    "compiler": "gc",
    "platform": "linux/amd64",
}
Document = dict[str, Any]


def api_versions(server: str) -> Document:
    """`/api`."""
    addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": server}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses}


def group_list(served: Served = STATIC) -> Document:
    """`/apis`."""
    groups = [_group(group, served) for group in _group_names(served) if group]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def group_document(group: str, served: Served = STATIC) -> Document:
    """`/apis/apps`. Raises NotFound."""
    if group not in _group_names(served) or not group:
        raise NotFound("the server could not find the requested resource")
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(group, served)}


def _group_names(served: Served) -> list[str]:
    return list(dict.fromkeys(group for group, _ in (*served.groups, *served.remote)))


def _group(group: str, served: Served) -> Document:
    found = (*served.groups, *served.remote)
    versions = [{"groupVersion": f"{g}/{v}", "version": v} for g, v in found if g == group]
    return {"name": group, "versions": versions, "preferredVersion": versions[0]}


def resource_list(group: str, version: str, served: Served = STATIC) -> Document:
    """`/api/v1`, `/apis/apps/v1`. Raises NotFound."""
    kinds = served.groups.get((group, version))
    if kinds is None:
        raise NotFound("the server could not find the requested resource")
    resources = [row for kind in kinds for row in _plain_rows(kind)]
    group_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources}


def _plain_rows(kind: Kind) -> list[Document]:
    row: Document = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(kind.verbs),
    }
    if kind.short_names:
        row["shortNames"] = list(kind.short_names)
    if kind.categories:
        row["categories"] = list(kind.categories)
    if kind.stored:
        row["storageVersionHash"] = storage_version_hash(kind.storage)
    return [row, *(_plain_subresource(kind, name, sub) for name, sub in subresources_of(kind))]


def storage_version_hash(kind: Kind) -> str:
    """Changes when objects are stored in another version (apiserver pkg/endpoints/discovery/storageversionhash.go)."""
    text = f"{kind.group}/{kind.version}/{kind.kind}"
    return base64.b64encode(hashlib.sha256(text.encode()).digest()[:8]).decode()


def _plain_subresource(kind: Kind, name: str, sub: Subresource) -> Document:
    row: Document = {"name": f"{kind.plural}/{name}", "singularName": "", "namespaced": kind.namespaced}
    if sub.version and sub.group:
        row |= {"group": sub.group, "version": sub.version}
    return {**row, "kind": sub.kind or kind.kind, "verbs": list(sub.verbs)}


def aggregated(core: bool, served: Served = STATIC) -> Document:
    """`/api` (core) or `/apis` in the v2 form."""
    items = [_aggregated_group(group, served) for group in _group_names(served) if (group == "") == core]
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


def _aggregated_group(group: str, served: Served) -> Document:
    versions = [
        {"version": v, "freshness": "Current", "resources": [_aggregated_row(kind) for kind in kinds]}
        for (g, v), kinds in served.groups.items()
        if g == group
    ]
    versions += [_remote_version(found) for (g, _), found in served.remote.items() if g == group]
    return {"metadata": {"name": group} if group else {}, "versions": versions}


def _remote_version(found: RemoteVersion) -> Document:
    """Of the rows of an APIResourceList: subresources go below their resource."""
    rows = {row["name"]: _remote_row(row) for row in found.resources if "/" not in row["name"]}
    for row in found.resources:
        parent, slash, name = row["name"].partition("/")
        if slash and parent in rows:
            shape = _response_kind(row.get("group", ""), row.get("version", ""), row["kind"])
            below = {"subresource": name, "responseKind": shape, "verbs": row.get("verbs") or []}
            rows[parent].setdefault("subresources", []).append(below)
    freshness = "Current" if found.fresh else "Stale"
    return {"version": found.version, "freshness": freshness, "resources": list(rows.values())}


def _remote_row(row: Document) -> Document:
    shown: Document = {
        "resource": row["name"],
        "responseKind": _response_kind(row.get("group", ""), row.get("version", ""), row["kind"]),
        "scope": "Namespaced" if row.get("namespaced") else "Cluster",
        "singularResource": row.get("singularName", ""),
        "verbs": row.get("verbs") or [],
    }
    return shown | {name: row[name] for name in ("shortNames", "categories") if row.get(name)}


def _aggregated_row(kind: Kind) -> Document:
    row: Document = {
        "resource": kind.plural,
        "responseKind": _response_kind("", "", kind.kind),
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(kind.verbs),
    }
    if kind.short_names:
        row["shortNames"] = list(kind.short_names)
    if kind.categories:
        row["categories"] = list(kind.categories)
    below = [_aggregated_subresource(kind, name, sub) for name, sub in subresources_of(kind)]
    return {**row, "subresources": below} if below else row


def _aggregated_subresource(kind: Kind, name: str, sub: Subresource) -> Document:
    foreign = bool(sub.group)
    shape = _response_kind(sub.group, sub.version if foreign else "", sub.kind or kind.kind)
    return {"subresource": name, "responseKind": shape, "verbs": list(sub.verbs)}


def _response_kind(group: str, version: str, kind: str) -> Document:
    """Empty group and version are those of the document, as kube-apiserver leaves them."""
    return {"group": group, "version": version, "kind": kind}

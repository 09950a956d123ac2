"""Discovery and OpenAPI agree with each other and with what is served."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from actors.api.errors import NotFound
from actors.api.kinds import KINDS
from actors.api.schema import definition_name
from actors.gateway import discovery, openapi
from actors.gateway.served import kind_at


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"].rsplit("/", 1)[1]
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


@pytest.mark.parametrize("path", list(openapi.v3_paths()))
def test_every_reference_of_v3_leads_somewhere(path: str) -> None:
    document = openapi.v3_document(path)
    assert set(_references(document)) <= set(document["components"]["schemas"])


def test_every_reference_of_v2_leads_somewhere() -> None:
    document = openapi.v2_document()
    assert set(_references(document)) <= set(document["definitions"])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.resource)
def test_every_kind_is_published_with_its_identity_and_its_writes(kind: Any) -> None:
    path = f"apis/{kind.api_version}" if kind.group else f"api/{kind.api_version}"
    document = openapi.v3_document(path)
    schema = document["components"]["schemas"][openapi.long_name(definition_name(kind.api_version, kind.kind))]
    assert {"group": kind.group, "version": kind.version, "kind": kind.kind} in schema[
        "x-kubernetes-group-version-kind"
    ]
    scope = "namespaces/{namespace}/" if kind.namespaced else ""
    collection = document["paths"][f"/{path}/{scope}{kind.plural}"]
    assert "fieldValidation" in [parameter["name"] for parameter in collection["post"]["parameters"]]
    assert {"get", "put", "patch", "delete"} <= set(document["paths"][f"/{path}/{scope}{kind.plural}/{{name}}"])


def test_merge_keys_are_published() -> None:
    schemas = openapi.v3_document("api/v1")["components"]["schemas"]
    containers = schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert (containers["x-kubernetes-patch-merge-key"], containers["x-kubernetes-patch-strategy"]) == ("name", "merge")


def test_aggregated_and_plain_discovery_tell_the_same() -> None:
    items = discovery.aggregated(core=True)["items"] + discovery.aggregated(core=False)["items"]
    for item in items:
        group = item["metadata"].get("name", "")
        for version in item["versions"]:
            plain = discovery.resource_list(group, version["version"])["resources"]
            told = {row["name"]: row["verbs"] for row in plain}
            for row in version["resources"]:
                assert told.pop(row["resource"]) == row["verbs"]
                for below in row.get("subresources", ()):
                    assert told.pop(f"{row['resource']}/{below['subresource']}") == below["verbs"]
            assert not told


def test_what_is_advertised_is_served() -> None:
    for kind in KINDS:
        assert kind_at(kind.group, kind.version, kind.plural) is kind
        assert ("deletecollection" in kind.verbs) == (kind.plural != "namespaces")
    for unknown in (("", "v2", "pods"), ("apps", "v1", "pods"), ("nope", "v1", "x")):
        with pytest.raises(NotFound):
            kind_at(*unknown)
    with pytest.raises(NotFound):
        discovery.resource_list("nope", "v1")
    with pytest.raises(NotFound):
        discovery.group_document("")
    with pytest.raises(NotFound):
        openapi.v3_document("apis/nope/v1")


def test_documents_are_json() -> None:
    for document in (discovery.group_list(), openapi.v3_root(), discovery.api_versions("x")):
        assert json.loads(json.dumps(document)) == document

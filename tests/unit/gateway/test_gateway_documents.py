"""Discovery and OpenAPI agree with each other and with what is served."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from actors.api.errors import NotFound
from actors.api.kinds import KINDS
from actors.api.schema import definition_name
from actors.gateway import discovery, openapi
from actors.gateway.openapi.gnostic_v2 import encode_v2
from actors.gateway.openapi.gnostic_v3 import encode_v3
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
    assert {"get", "put", "patch", "delete", "parameters"} == set(
        document["paths"][f"/{path}/{scope}{kind.plural}/{{name}}"]
    )


def test_merge_keys_are_published() -> None:
    schemas = openapi.v3_document("api/v1")["components"]["schemas"]
    containers = schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert (containers["x-kubernetes-patch-merge-key"], containers["x-kubernetes-patch-strategy"]) == ("name", "merge")


def test_fields_are_described_and_what_they_refer_to_too() -> None:
    for version, schemas in (
        (3, openapi.v3_document("api/v1")["components"]["schemas"]),
        (2, openapi.v2_document()["definitions"]),
    ):
        pod = schemas["io.k8s.api.core.v1.Pod"]
        assert "Pod is a collection of containers" in pod["description"]
        spec = pod["properties"]["spec"]
        assert "desired behavior of the pod" in spec["description"]
        assert ("allOf" in spec) == (version == 3), "a reference of version 2 stands beside its description"
        assert schemas["io.k8s.api.core.v1.SecretKeySelector"]["x-kubernetes-map-type"] == "atomic"
        assert schemas["io.k8s.api.core.v1.PodList"]["required"] == ["items"]


def test_operations_are_told_apart_and_say_what_they_take_and_answer() -> None:
    told = [
        operation
        for path in openapi.v3_paths()
        for item in openapi.v3_document(path)["paths"].values()
        for method, operation in item.items()
        if method != "parameters"
    ]
    ids = [operation["operationId"] for operation in told]
    assert len(set(ids)) == len(ids)
    assert {"listCoreV1NamespacedPod", "patchAppsV1NamespacedDeploymentScale", "createCoreV1Namespace"} <= set(ids)
    assert "listCoreV1PodForAllNamespaces" in ids
    for operation in told:
        assert operation.get("parameters") != [], "an empty list would not come back from a client's types"
        if operation["x-kubernetes-action"] in ("post", "put", "patch"):
            assert operation["requestBody"]["required"], operation["operationId"]


def test_what_is_talked_with_has_no_body_and_no_schema() -> None:
    document = openapi.v3_document("api/v1")
    pod = "/api/v1/namespaces/{namespace}/pods/{name}"
    item = document["paths"][f"{pod}/exec"]
    assert item["get"]["operationId"] == "connectGetCoreV1NamespacedPodExec"
    assert (item["post"]["x-kubernetes-action"], "requestBody" in item["post"]) == ("connect", False)
    assert {"command", "tty", "namespace", "name"} <= {row["name"] for row in item["parameters"]}
    assert f"{pod}/proxy/{{path}}" in document["paths"]
    assert "io.k8s.api.core.v1.PodExecOptions" not in document["components"]["schemas"]
    log = document["paths"][f"{pod}/log"]["get"]
    assert "tailLines" in [row["name"] for row in log["parameters"]]


def test_parameters_of_a_path_are_those_in_it() -> None:
    for path, item in openapi.v2_document()["paths"].items():
        named = {row["name"] for row in item["parameters"] if row["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path))


def test_the_protobuf_form_has_every_definition_and_path() -> None:
    """Read back with nothing but the wire format: 8 is the paths, 9 the definitions, each a list of named values."""
    document = openapi.v2_document()
    parts = dict(_fields(encode_v2(document)))
    assert parts[1] == b"2.0"
    for number, name, entry in ((8, "paths", 2), (9, "definitions", 1)):
        rows = [dict(_fields(row)) for at, row in _fields(parts[number]) if at == entry]
        assert [row[1].decode() for row in rows] == list(document[name])
    pod = dict(_fields(parts[9]))[1]
    assert b"io.k8s." in pod


def test_the_protobuf_form_of_version_3_is_the_same_document() -> None:
    document = openapi.v3_document("apis/apps/v1")
    parts = dict(_fields(encode_v3(document)))
    assert parts[1] == b"3.0.0"
    paths = {row[1].decode(): row[2] for at, item in _fields(parts[4]) if at == 1 for row in [dict(_fields(item))]}
    assert list(paths) == list(document["paths"])
    scale = dict(_fields(paths["/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"]))
    assert dict(_fields(scale[4]))[5] == b"readAppsV1NamespacedDeploymentScale"
    listed = dict(_fields(parts[5]))[1]
    schemas = {row[1].decode(): row[2] for _, item in _fields(listed) for row in [dict(_fields(item))]}
    assert list(schemas) == list(document["components"]["schemas"])
    (schema,) = [content for at, content in _fields(schemas["io.k8s.api.apps.v1.DeploymentSpec"]) if at == 1]
    fields = dict(_fields(schema))
    assert fields[25] == b"object" and fields[34].startswith(b"DeploymentSpec is the specification")
    properties = {row[1].decode(): row[2] for _, item in _fields(fields[31]) for row in [dict(_fields(item))]}
    of_all = [content for at, content in _fields(dict(_fields(properties["template"]))[1]) if at == 26]
    assert dict(_fields(dict(_fields(of_all[0]))[2])) == {1: b"#/components/schemas/io.k8s.api.core.v1.PodTemplateSpec"}


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Of a message that has only strings and messages."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        assert tag & 7 == 2
        size, at = _varint(data, at)
        yield tag >> 3, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at


def test_storage_versions_have_the_hashes_of_kube_apiserver() -> None:
    rows = {row["name"]: row for row in discovery.resource_list("", "v1")["resources"]}
    assert rows["pods"]["storageVersionHash"] == "xPOwRZ+Yhw8="
    assert rows["configmaps"]["storageVersionHash"] == "qFsyl6wFWjQ="
    assert "storageVersionHash" not in rows["bindings"] and "storageVersionHash" not in rows["pods/status"]


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
    for document in (discovery.group_list(), discovery.api_versions("x")):
        assert json.loads(json.dumps(document)) == document

"""discovery.go, aggregated_discovery.go, server_version.go, openapiv3.go, health_handlers.go, request_timeout.go."""

from __future__ import annotations

import base64
import hashlib

import pytest
from api_client import Api
from definitions import CRDS, create, definition
from eventually import eventually
from gateway_server import RunningGateway

_AGGREGATED = {"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"}
_EXPECTED = [
    ("", "v1", "namespaces"),
    ("admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations"),
    ("apiextensions.k8s.io", "v1", "customresourcedefinitions"),
    ("apiregistration.k8s.io", "v1", "apiservices"),
    ("apps", "v1", "deployments"),
    ("authentication.k8s.io", "v1", "tokenreviews"),
    ("authorization.k8s.io", "v1", "selfsubjectaccessreviews"),
    ("autoscaling", "v1", "horizontalpodautoscalers"),
    ("autoscaling", "v2", "horizontalpodautoscalers"),
    ("batch", "v1", "jobs"),
    ("certificates.k8s.io", "v1", "certificatesigningrequests"),
    ("coordination.k8s.io", "v1", "leases"),
    ("discovery.k8s.io", "v1", "endpointslices"),
    ("events.k8s.io", "v1", "events"),
    ("networking.k8s.io", "v1", "ingresses"),
    ("node.k8s.io", "v1", "runtimeclasses"),
    ("policy", "v1", "poddisruptionbudgets"),
    ("scheduling.k8s.io", "v1", "priorityclasses"),
    ("storage.k8s.io", "v1", "csinodes"),
]


def _aggregated(api: Api, path: str) -> set[tuple[str, str, str]]:
    answer = api.get(path, _AGGREGATED)
    assert "as=APIGroupDiscoveryList" in answer.headers["Content-Type"]
    return {
        (group["metadata"].get("name", ""), version["version"], row["resource"])
        for group in answer.ok()["items"]
        for version in group["versions"]
        for row in version["resources"]
    }


@pytest.mark.parametrize(("group", "version", "resource"), _EXPECTED)
def test_each_group_has_its_version_and_a_resource(api: Api, group: str, version: str, resource: str) -> None:
    found = api.get(f"/apis/{group}/{version}" if group else f"/api/{version}").ok()
    assert found["groupVersion"] == (f"{group}/{version}" if group else version)
    assert resource in [row["name"] for row in found["resources"]]


def test_each_group_prefers_a_version_that_it_has(api: Api) -> None:
    groups = api.get("/apis/").ok()["groups"]
    assert groups
    for group in groups:
        found = api.get(f"/apis/{group['name']}/").ok()
        assert found["preferredVersion"] in found["versions"]


def test_what_is_not_served_is_not_found(api: Api) -> None:
    assert "please-dont-ever-create-this" not in [row["name"] for row in api.get("/apis/apps/v1").ok()["resources"]]
    assert api.get("/apis/not-these-apps/v1").code == 404


def test_a_custom_resource_has_the_hash_of_its_storage_version(api: Api) -> None:
    spec = create(api, definition(api, versions=("v1", "v1beta1")))["spec"]
    hashed = hashlib.sha256(f"{spec['group']}/v1/{spec['names']['kind']}".encode()).digest()
    for version in ("v1", "v1beta1"):
        rows = {row["name"]: row for row in api.get(f"/apis/{spec['group']}/{version}").ok()["resources"]}
        assert rows[spec["names"]["plural"]]["storageVersionHash"] == base64.b64encode(hashed[:8]).decode()


def test_aggregated_discovery_has_every_builtin(api: Api) -> None:
    found = _aggregated(api, "/api") | _aggregated(api, "/apis")
    assert set(_EXPECTED) <= found


def test_aggregated_discovery_has_what_is_defined(api: Api) -> None:
    spec = create(api, definition(api, versions=("v1",), scope="Namespaced"))["spec"]
    row = (spec["group"], "v1", spec["names"]["plural"])
    eventually(lambda: row in _aggregated(api, "/apis"))


def test_the_version_is_of_numbers(api: Api) -> None:
    version = api.get("/version").ok()
    assert version["major"].isdigit() and version["minor"].isdigit()
    assert int(version["major"]) >= 1


def test_every_document_of_openapi_three_is_there(api: Api) -> None:
    """Each names its schemas by references within itself."""
    paths = api.get("/openapi/v3").ok()["paths"]
    for path, entry in paths.items():
        document = api.get(entry["serverRelativeURL"]).ok()
        assert document["openapi"].startswith("3."), path
        schemas = document.get("components", {}).get("schemas", {})
        for name in _references(document):
            assert name in schemas, (path, name)


def _references(node: object) -> set[str]:
    if isinstance(node, list):
        return set().union(*(_references(item) for item in node))
    if not isinstance(node, dict):
        return set()
    own = {node["$ref"].removeprefix("#/components/schemas/")} if isinstance(node.get("$ref"), str) else set()
    return own.union(*(_references(value) for value in node.values()))


def test_openapi_three_follows_definitions(api: Api) -> None:
    crd = create(api, definition(api))
    path = f"apis/{crd['spec']['group']}/v1beta1"
    eventually(lambda: path in api.get("/openapi/v3").ok()["paths"])
    document = api.get(api.get("/openapi/v3").ok()["paths"][path]["serverRelativeURL"]).ok()
    assert f"/{path}/{crd['spec']['names']['plural']}" in document["paths"]
    api.delete(f"{CRDS}/{crd['metadata']['name']}").ok()
    eventually(lambda: path not in api.get("/openapi/v3").ok()["paths"])
    assert api.get(f"/openapi/v3/{path}").code == 404


@pytest.mark.parametrize("endpoint", ["healthz", "livez", "readyz"])
def test_health_has_the_checks_that_are_asked_for(served: RunningGateway, endpoint: str) -> None:
    code, _, text = served.request("GET", f"/{endpoint}?verbose=1")
    assert code == 200
    assert {"[+]ping ok", "[+]log ok"} <= set(text.decode().splitlines())


def test_a_timeout_that_cannot_be_read_is_a_bad_request(api: Api) -> None:
    refused = api.get("/version", timeout="invalid").refused(400, "BadRequest")
    assert "invalid timeout specified in the request URL" in refused["message"]


@pytest.mark.parametrize("timeout", ["3m", "0s"])
def test_a_timeout_beyond_the_most_or_of_nothing_is_the_default(api: Api, timeout: str) -> None:
    api.get("/version", timeout=timeout).ok()

"""aggregator.go: the APIService of another API server; the sample one is that of `e2e/test_aggregation.py`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from api_client import Api, Json
from eventually import eventually
from remote_server import Authority, own_address
from test_aggregation import SampleServer, api_service

from actors.gateway.pki import pki_at

_PATH = "/apis/apiregistration.k8s.io/v1/apiservices"
_NAME = "v1alpha1.wardle.example.com"
_GROUP = "/apis/wardle.example.com"


@pytest.fixture
def wardle(api: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Json]:
    """Its APIService, available."""
    authority = Authority(tmp_path_factory.mktemp("ca"))
    server = SampleServer(authority.issue(f"wardle.{api.namespace}.svc"), pki_at(api.served.home).proxy_ca.certificate)
    ports = [{"port": 443, "targetPort": server.port}]
    api.post("services", {"metadata": {"name": "wardle"}, "spec": {"ports": ports}}).ok()
    subsets = [{"addresses": [{"ip": own_address()}], "ports": [{"port": server.port}]}]
    api.post("endpoints", {"metadata": {"name": "wardle"}, "subsets": subsets}).ok()
    obj = api_service(authority.bundle)
    obj["spec"]["service"]["namespace"] = api.namespace
    api.post(_PATH, obj).ok()
    yield eventually(lambda: api.get(f"{_PATH}/{_NAME}/status").ok(), _is_available)
    api.delete(f"{_PATH}/{_NAME}")
    server.stop()


def _is_available(service: Json) -> bool:
    rows = service.get("status", {}).get("conditions", [])
    return any(row["type"] == "Available" and row["status"] == "True" for row in rows)


def _retry_on_conflict(api: Api, subresource: str, change: Callable[[Json], object]) -> Json:
    for _ in range(10):
        change(found := api.get(f"{_PATH}/{_NAME}").ok())
        if (answer := api.put(f"{_PATH}/{_NAME}{subresource}", found)).code != 409:
            return answer.ok()
    raise AssertionError(answer.body)


def test_an_api_service_is_read_patched_labelled_and_deleted(api: Api, wardle: Json) -> None:
    assert wardle["status"]["conditions"][0]["message"] == "all checks passed"
    flunders = f"{_GROUP}/v1alpha1/namespaces/default/flunders"
    flunder = {"apiVersion": "wardle.example.com/v1alpha1", "kind": "Flunder", "metadata": {"name": "rest-flunder"}}
    assert api.post(flunders, flunder).code == 201
    assert api.get(flunders).names == ["rest-flunder"]
    rows = api.get(f"{_GROUP}/v1alpha1").ok()["resources"]
    assert "flunders" in [row["name"] for row in rows]
    api.served.kubectl("patch", "apiservice", _NAME, "-p", json.dumps({"spec": {"versionPriority": 400}}))
    assert api.get(f"{_PATH}/{_NAME}").ok()["spec"]["versionPriority"] == 400
    assert _NAME in api.get(_PATH).names
    patch = {"metadata": {"labels": {"e2e-apiservice": "patched"}}}
    assert api.patch("merge", f"{_PATH}/{_NAME}", patch).ok()["metadata"]["labels"]["e2e-apiservice"] == "patched"
    row = {
        "type": "StatusUpdated",
        "status": "True",
        "reason": "E2E",
        "message": "Set from e2e test",
        "lastTransitionTime": None,
    }
    updated = _retry_on_conflict(api, "/status", lambda obj: obj["status"]["conditions"].append(row))
    assert "Set from e2e test" in [found["message"] for found in updated["status"]["conditions"]]
    change = {"status": {"conditions": [{"type": "StatusPatched", "status": "True"}]}}
    patched = api.patch("merge", f"{_PATH}/{_NAME}/status", change).ok()["status"]["conditions"]
    assert "StatusPatched" in [found["type"] for found in patched]
    _retry_on_conflict(api, "", lambda obj: obj["metadata"]["labels"].update({"e2e-apiservice": "updated"}))
    assert _GROUP in api.get("/").ok()["paths"]
    api.delete(_PATH, labelSelector="e2e-apiservice=updated").ok()
    api.get(f"{_PATH}/{_NAME}").refused(404, "NotFound")
    eventually(lambda: _GROUP not in api.get("/").ok()["paths"])
    assert "wardle.example.com" not in [group["name"] for group in api.get("/apis").ok()["groups"]]

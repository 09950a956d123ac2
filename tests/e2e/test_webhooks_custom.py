"""Admission webhooks over custom resources, as Kubernetes' own conformance tests walk through them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from gateway_server import RunningGateway, served
from remote_server import Authority, RemoteServer, configuration, patch, reviewing, serving, webhook

from actors.api.key import Key

__all__ = ["served"]
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_NAME = "things.stable.example.com"
_MERGE = "application/merge-patch+json"


def definition() -> dict[str, Any]:
    properties = {
        "mutation-start": {"type": "string"},
        "mutation-stage-1": {"type": "string"},
        "mutation-stage-2": {"type": "string"},
    }
    data = {"type": "object", "properties": properties}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"data": data}}}
    versions = [{"name": name, "served": True, "storage": name == "v1", "schema": schema} for name in ("v1", "v2")]
    names = {"plural": "things", "kind": "Thing", "singular": "thing"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": _NAME},
        "spec": {"group": "stable.example.com", "scope": "Namespaced", "names": names, "versions": versions},
    }


def path_of(version: str, name: str = "") -> str:
    return f"/apis/stable.example.com/{version}/namespaces/default/things" + (f"/{name}" if name else "")


def thing(version: str, name: str, **data: str) -> dict[str, Any]:
    return {
        "apiVersion": f"stable.example.com/{version}",
        "kind": "Thing",
        "metadata": {"name": name},
        "data": {key.replace("_", "-"): value for key, value in data.items()},
    }


def ask(served: RunningGateway, method: str, path: str, obj: Any = None, media: str = "application/json") -> Any:
    body = json.dumps(obj).encode() if obj is not None else None
    code, _, answer = served.request(method, path, body, {"Content-Type": media})
    return code, json.loads(answer)


@pytest.fixture
def authority(tmp_path: Any) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def things(served: RunningGateway) -> Iterator[None]:
    assert ask(served, "POST", _CRDS, definition())[0] == 201
    yield
    for kind in ("mutatingwebhookconfigurations", "validatingwebhookconfigurations"):
        ask(served, "DELETE", f"/apis/admissionregistration.k8s.io/v1/{kind}")
    _wait(lambda: served.gateway.app.backend.admission.is_idle)
    ask(served, "DELETE", path_of("v1"))
    ask(served, "DELETE", f"{_CRDS}/{_NAME}")
    ask(served, "PATCH", f"{_CRDS}/{_NAME}", {"metadata": {"finalizers": None}}, _MERGE)


pytestmark = pytest.mark.usefixtures("things")


def _wait(done: Any) -> None:
    deadline = time.monotonic() + 10
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def install(served: RunningGateway, kind: str, *hooks: dict[str, Any]) -> None:
    url = f"/apis/admissionregistration.k8s.io/v1/{kind.lower()}webhookconfigurations"
    code, answer = ask(served, "POST", url, configuration(kind, kind.lower(), *hooks))
    assert code == 201, answer
    chain = served.gateway.app.backend.admission
    _wait(lambda: any(key.name == kind.lower() for key in chain.feed._objects))


def client(server: RemoteServer, authority: Authority) -> dict[str, Any]:
    return {"url": server.url, "caBundle": authority.bundle}


def stages(request: dict[str, Any]) -> dict[str, Any]:
    """As agnhost's webhook mutates custom resources: each stage when the one before is there."""
    data = request["object"].get("data", {})
    operations = []
    if data.get("mutation-start") == "yes":
        operations.append({"op": "add", "path": "/data/mutation-stage-1", "value": "yes"})
    if data.get("mutation-stage-1") == "yes":
        operations.append({"op": "add", "path": "/data/mutation-stage-2", "value": "yes"})
    operations.append({"op": "add", "path": "/data/mutation-unknown", "value": "pruned"})
    return patch(*operations)


def test_mutating_with_pruning_in_two_stages(served: RunningGateway, authority: Authority) -> None:
    with serving(authority.issue("127.0.0.1"), reviewing(stages)) as server:
        hooks = [webhook(f"stage-{n}.example.com", client(server, authority), ("things",)) for n in (1, 2)]
        install(served, "Mutating", *hooks)
        code, made = ask(served, "POST", path_of("v1"), thing("v1", "pruned", mutation_start="yes"))
        assert code == 201
        assert made["data"] == {"mutation-start": "yes", "mutation-stage-1": "yes", "mutation-stage-2": "yes"}


def test_mutating_with_another_stored_version(served: RunningGateway, authority: Authority) -> None:
    with serving(authority.issue("127.0.0.1"), reviewing(stages)) as server:
        install(served, "Mutating", webhook("stages.example.com", client(server, authority), ("things",)))
        assert ask(served, "POST", path_of("v1"), thing("v1", "kept"))[0] == 201
        found = ask(served, "GET", f"{_CRDS}/{_NAME}")[1]
        for version in found["spec"]["versions"]:
            version["storage"] = version["name"] == "v2"
        assert ask(served, "PUT", f"{_CRDS}/{_NAME}", found)[0] == 200
        code, changed = ask(served, "PATCH", path_of("v1", "kept"), {"data": {"mutation-start": "yes"}}, _MERGE)
        assert (code, changed["apiVersion"]) == (200, "stable.example.com/v1")
        assert changed["data"] == {"mutation-start": "yes", "mutation-stage-1": "yes"}
        stored = json.loads(served.run(served.store.get(Key(_NAME, "default", "kept"))).body)
        assert stored["apiVersion"] == "stable.example.com/v2"
        assert server.reviews[-1]["request"]["requestKind"]["version"] == "v1"


def test_creation_update_and_deletion_can_be_denied(served: RunningGateway, authority: Authority) -> None:
    def decide(request: dict[str, Any]) -> dict[str, Any]:
        data = ((request["object"] or request["oldObject"]) or {}).get("data", {})
        start = data.get("mutation-start")
        if request["operation"] == "DELETE":
            return {"allowed": start != "keep", "status": {"message": "cannot be deleted"}}
        return {"allowed": start != "disallow", "status": {"message": "the custom resource contains unwanted data"}}

    with serving(authority.issue("127.0.0.1"), reviewing(decide)) as server:
        hook = webhook("deny.example.com", client(server, authority), ("things",))
        hook["rules"][0]["operations"] = ["CREATE", "UPDATE", "DELETE"]
        install(served, "Validating", hook)
        code, status = ask(served, "POST", path_of("v1"), thing("v1", "bad", mutation_start="disallow"))
        assert code == 400
        assert "denied the request: the custom resource contains unwanted data" in status["message"]
        assert ask(served, "POST", path_of("v2"), thing("v2", "good", mutation_start="keep"))[0] == 201
        for version in ("v1", "v2"):
            bad = {"data": {"mutation-start": "disallow"}}
            assert ask(served, "PATCH", path_of(version, "good"), bad, _MERGE)[0] == 400
            assert "cannot be deleted" in ask(served, "DELETE", path_of(version, "good"))[1]["message"]
        assert ask(served, "PATCH", path_of("v1", "good"), {"data": {"mutation-start": "free"}}, _MERGE)[0] == 200
        assert ask(served, "DELETE", path_of("v1", "good"))[0] == 200


def test_definitions_themselves_can_be_denied(served: RunningGateway, authority: Authority) -> None:
    with serving(authority.issue("127.0.0.1"), reviewing(lambda request: {"allowed": False})) as server:
        hook = webhook("crd.example.com", client(server, authority), ("customresourcedefinitions",))
        hook["rules"][0]["operations"] = ["CREATE"]
        install(served, "Validating", hook)
        other = json.loads(json.dumps(definition()).replace("things", "others").replace("Thing", "Other"))
        shown = served.kubectl("create", "-f", "-", stdin=json.dumps(other), fails=True)
        assert 'admission webhook "crd.example.com" denied the request' in shown.err
        assert served.kubectl("get", "crd", "others.stable.example.com", fails=None).code != 0


def test_a_namespace_of_its_own_is_exempt(served: RunningGateway, authority: Authority) -> None:
    """As operators exempt themselves: by the label of the namespace's own name."""
    with serving(authority.issue("127.0.0.1"), reviewing(lambda request: {"allowed": False})) as server:
        own = [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-public"]}]
        selector = {"matchExpressions": own}
        hook = webhook(
            "own.example.com", client(server, authority), ("configmaps", "namespaces"), namespaceSelector=selector
        )
        install(served, "Validating", hook)
        served.kubectl("create", "configmap", "mine", "-n", "kube-public")
        served.kubectl("create", "configmap", "mine", "-n", "default", fails=True)
        served.kubectl("create", "namespace", "refused", fails=True)
        assert [review["request"]["namespace"] for review in server.reviews] == ["default", "refused"]

"""namespace.go: what is in a namespace goes with it; its labels, status and finalizers are written as any others."""

from __future__ import annotations

import time

import pytest
from api_client import Api, Json
from eventually import eventually

_POD = {"metadata": {"name": "one"}, "spec": {"containers": [{"name": "nginx", "image": "pause"}]}}
_SERVICE = {
    "metadata": {"name": "one"},
    "spec": {"selector": {"foo": "bar"}, "ports": [{"port": 80, "targetPort": 80}]},
}


@pytest.mark.parametrize(("resource", "obj"), [("pods", _POD), ("services", _SERVICE)])
def test_what_is_in_a_namespace_is_removed_with_it(api: Api, resource: str, obj: Json) -> None:
    name = f"nsdeletetest-{api.namespace}-{resource}"
    root = f"/api/v1/namespaces/{name}"

    def make() -> None:
        api.post("/api/v1/namespaces", {"metadata": {"name": name}}).ok()
        eventually(lambda: api.get(f"{root}/serviceaccounts/default").code == 200)

    make()
    api.post(f"{root}/{resource}", obj).ok()
    answer = api.delete(root).ok()
    assert answer["kind"] == "Namespace" and answer["status"]["phase"] == "Terminating"
    eventually(lambda: api.get(root).code == 404)
    make()
    api.get(f"{root}/{resource}/one").refused(404, "NotFound")


def test_a_hundred_namespaces_go_fast_enough(api: Api) -> None:
    """Kubernetes gives 150 seconds to 90 of 100; here all of 40 in 30."""
    names = [f"nslifetest-{number}-{api.namespace}" for number in range(40)]
    for name in names:
        api.post("/api/v1/namespaces", {"metadata": {"name": name}}).ok()
    started = time.monotonic()
    for name in names:
        api.delete(f"/api/v1/namespaces/{name}").ok()
    left = set(names)
    eventually(lambda: not left & set(api.get("/api/v1/namespaces").names), seconds=30)
    assert time.monotonic() - started < 30


def test_a_namespace_is_patched(api: Api) -> None:
    path = f"/api/v1/namespaces/{api.namespace}"
    api.patch("strategic", path, {"metadata": {"labels": {"testLabel": "testValue"}}}).ok()
    assert api.get(path).ok()["metadata"]["labels"]["testLabel"] == "testValue"


def test_the_status_of_a_namespace_is_read_patched_and_updated(api: Api) -> None:
    path = f"/api/v1/namespaces/{api.namespace}/status"
    shown = api.get(path).ok()
    assert shown["kind"] == "Namespace" and shown["status"]["phase"] == "Active"
    condition = {"type": "StatusPatch", "status": "True", "reason": "E2E", "message": "Patched by an e2e test"}
    condition["lastTransitionTime"] = "2026-11-23T10:00:00Z"
    patch = {"metadata": {"annotations": {"e2e-patched-ns-status": "yes"}}, "status": {"conditions": [condition]}}
    patched = api.patch("merge", path, patch).ok()
    assert patched["metadata"]["annotations"]["e2e-patched-ns-status"] == "yes"
    assert patched["status"]["conditions"][0]["message"] == "Patched by an e2e test"
    patched["status"]["conditions"].append({**condition, "type": "StatusUpdate", "message": "Updated by an e2e test"})
    updated = api.put(path, patched).ok()
    assert len(updated["status"]["conditions"]) == 2
    assert updated["status"]["conditions"][1]["message"] == "Updated by an e2e test"


def test_a_namespace_is_updated(api: Api) -> None:
    path = f"/api/v1/namespaces/{api.namespace}"
    found = api.get(path).ok()
    found["metadata"]["labels"]["e2e-updated"] = api.namespace
    assert api.put(path, found).ok()["metadata"]["labels"]["e2e-updated"] == api.namespace


def test_finalizers_are_added_to_and_removed_from_a_namespace(api: Api) -> None:
    path = f"/api/v1/namespaces/{api.namespace}"
    found = api.get(path).ok()
    assert found["spec"]["finalizers"] == ["kubernetes"]
    found["spec"]["finalizers"].append("e2e.example.com/fakeFinalizer")
    updated = api.put(f"{path}/finalize", found).ok()
    assert updated["spec"]["finalizers"] == ["kubernetes", "e2e.example.com/fakeFinalizer"]
    updated["spec"]["finalizers"].pop()
    assert api.put(f"{path}/finalize", updated).ok()["spec"]["finalizers"] == ["kubernetes"]


def test_pods_are_deleted_first(api: Api) -> None:
    """namespace.go, OrderedNamespaceDeletion: what a pod may need stays until the pod is gone."""
    name = f"nsdeletetest-ordered-{api.namespace}"
    root = f"/api/v1/namespaces/{name}"
    api.post("/api/v1/namespaces", {"metadata": {"name": name}}).ok()
    eventually(lambda: api.get(f"{root}/serviceaccounts/default").code == 200)
    held = {**_POD, "metadata": {"name": "testpod", "finalizers": ["e2e.example.com/finalizer"]}}
    api.post(f"{root}/pods", held).ok()
    api.post(f"{root}/configmaps", {"metadata": {"name": "test-configmap"}, "data": {"key": "value"}}).ok()
    api.delete(root).ok()

    def conditions() -> dict[str, str]:
        rows = api.get(root).ok()["status"].get("conditions") or ()
        return {row["type"]: row["status"] for row in rows}

    eventually(lambda: conditions().get("NamespaceDeletionContentFailure") == "False")
    eventually(lambda: "deletionTimestamp" in api.get(f"{root}/pods/testpod").ok()["metadata"])
    eventually(lambda: conditions()["NamespaceFinalizersRemaining"] == "True")
    assert "deletionTimestamp" not in api.get(f"{root}/configmaps/test-configmap").ok()["metadata"]
    api.patch("merge", f"{root}/pods/testpod", {"metadata": {"finalizers": None}}).ok()
    eventually(lambda: api.get(root).code == 404)
    api.get(f"{root}/configmaps/test-configmap").refused(404, "NotFound")

"""garbage_collector.go: what ReplicationControllers, ReplicaSets and Deployments own. Circles and custom resources are in
`api/test_collector.py`."""

from __future__ import annotations

import time
from typing import Any

import pytest
from api_client import Api, Json
from eventually import eventually

_CONTROLLERS = pytest.mark.parametrize("resource", ["replicationcontrollers", "replicasets"])


def _path(api: Api, resource: str) -> str:
    if resource.startswith("replicationcontrollers"):
        return f"/api/v1/namespaces/{api.namespace}/{resource}"
    return f"/apis/apps/v1/namespaces/{api.namespace}/{resource}"


def _make(api: Api, resource: str, replicas: int = 2, **metadata: Any) -> Json:
    template = {"metadata": {"labels": {"app": "gc"}}, "spec": {"containers": [{"name": "nginx", "image": "nginx"}]}}
    selector = {"app": "gc"} if resource == "replicationcontrollers" else {"matchLabels": {"app": "gc"}}
    spec = {"replicas": replicas, "selector": selector, "template": template}
    return api.post(_path(api, resource), {"metadata": {"name": "simpletest", **metadata}, "spec": spec}).ok()


def _owned(api: Api, resource: str, uid: str) -> list[Json]:
    path = resource if resource == "pods" else _path(api, resource)
    items = api.get(path).json["items"]
    return [item for item in items if uid in [ref["uid"] for ref in item["metadata"].get("ownerReferences", [])]]


def _delete(api: Api, path: str, policy: str, uid: str) -> None:
    api.delete(path, {"propagationPolicy": policy, "preconditions": {"uid": uid}}).ok()


@_CONTROLLERS
def test_pods_go_with_their_controller(api: Api, resource: str) -> None:
    uid = _make(api, resource)["metadata"]["uid"]
    eventually(lambda: _owned(api, "pods", uid))
    _delete(api, _path(api, f"{resource}/simpletest"), "Background", uid)
    eventually(lambda: not api.get("pods").names)


@_CONTROLLERS
@pytest.mark.parametrize("options", [{"propagationPolicy": "Orphan"}, {"orphanDependents": True}])
def test_pods_are_orphaned(api: Api, options: Json, resource: str) -> None:
    uid = _make(api, resource, replicas=10)["metadata"]["uid"]
    eventually(lambda: len(_owned(api, "pods", uid)) == 10)
    api.delete(_path(api, f"{resource}/simpletest"), {**options, "preconditions": {"uid": uid}}).ok()
    eventually(lambda: api.get(_path(api, f"{resource}/simpletest")).code == 404)
    time.sleep(1)
    assert len(api.get("pods").names) == 10, "the collector has not taken them"
    assert _owned(api, "pods", uid) == []


def test_replica_sets_of_a_deployment_go_with_it(api: Api) -> None:
    uid = _make(api, "deployments")["metadata"]["uid"]
    eventually(lambda: _owned(api, "replicasets", uid))
    _delete(api, _path(api, "deployments/simpletest"), "Background", uid)
    eventually(lambda: not api.get(_path(api, "replicasets")).names and not api.get("pods").names)


def test_replica_sets_of_a_deployment_are_orphaned(api: Api) -> None:
    uid = _make(api, "deployments")["metadata"]["uid"]
    (found,) = eventually(lambda: _owned(api, "replicasets", uid))
    _delete(api, _path(api, "deployments/simpletest"), "Orphan", uid)
    eventually(lambda: api.get(_path(api, "deployments/simpletest")).code == 404)
    time.sleep(1)
    left = api.get(_path(api, f"replicasets/{found['metadata']['name']}")).ok()
    assert not [ref for ref in left["metadata"].get("ownerReferences", []) if ref.get("controller")]


@_CONTROLLERS
def test_an_owner_is_kept_until_its_pods_are_gone(api: Api, resource: str) -> None:
    uid = _make(api, resource, replicas=5)["metadata"]["uid"]
    pods = eventually(lambda: _owned(api, "pods", uid), lambda found: len(found) == 5)
    held = pods[0]["metadata"]["name"]
    api.patch("merge", f"pods/{held}", {"metadata": {"finalizers": ["example.com/hold"]}}).ok()
    _delete(api, _path(api, f"{resource}/simpletest"), "Foreground", uid)
    eventually(lambda: api.get("pods").names == [held])
    waiting = api.get(_path(api, f"{resource}/simpletest")).ok()["metadata"]
    assert waiting["deletionTimestamp"] and waiting["finalizers"] == ["foregroundDeletion"]
    api.patch("merge", f"pods/{held}", {"metadata": {"finalizers": None}}).ok()
    eventually(lambda: api.get(_path(api, f"{resource}/simpletest")).code == 404)


@_CONTROLLERS
def test_a_pod_with_an_owner_that_stays_is_not_deleted(api: Api, resource: str) -> None:
    """With two owners, one of which waits for its dependents to go."""
    going = _make(api, resource, replicas=4)["metadata"]["uid"]
    pods = eventually(lambda: _owned(api, "pods", going), lambda found: len(found) == 4)
    stays = api.post("configmaps", {"metadata": {"name": "stays"}}).ok()["metadata"]
    second = {"apiVersion": "v1", "kind": "ConfigMap", "name": "stays", "uid": stays["uid"]}
    both = [pod["metadata"]["name"] for pod in pods[:2]]
    for name in both:
        patch = {"metadata": {"ownerReferences": [second]}}
        api.patch("strategic", f"pods/{name}", patch).ok()
    _delete(api, _path(api, f"{resource}/simpletest"), "Foreground", going)
    eventually(lambda: api.get(_path(api, f"{resource}/simpletest")).code == 404)
    left = api.get("pods").json["items"]
    assert sorted(pod["metadata"]["name"] for pod in left) == sorted(both)
    for pod in left:
        assert "deletionTimestamp" not in pod["metadata"]
        assert [ref["uid"] for ref in pod["metadata"]["ownerReferences"]] == [stays["uid"]]

"""resource_quota.go: what is used of a quota is written down promptly, and what exceeds it is refused."""

from __future__ import annotations

from typing import Any

import pytest
from api_client import Api, Json
from definitions import collection, create, custom, definition
from eventually import eventually

_DONGLE = "example.com/dongle"
_HARD = {
    "pods": "5",
    "services": "10",
    "services.nodeports": "1",
    "services.loadbalancers": "1",
    "replicationcontrollers": "10",
    "resourcequotas": "1",
    "cpu": "1",
    "memory": "500Mi",
    "configmaps": "10",
    "secrets": "10",
    "persistentvolumeclaims": "10",
    "requests.storage": "10Gi",
    "ephemeral-storage": "50Gi",
    "gold.storageclass.storage.k8s.io/persistentvolumeclaims": "10",
    "gold.storageclass.storage.k8s.io/requests.storage": "10Gi",
    f"requests.{_DONGLE}": "3",
    "count/replicasets.apps": "5",
}
_COMPUTE = {"requests.cpu": "500m", "requests.memory": "200Mi", "limits.cpu": "1", "limits.memory": "400Mi"}
_RESOURCES = {"requests": {"cpu": "500m", "memory": "200Mi"}, "limits": {"cpu": "1", "memory": "400Mi"}}


def _quota(api: Api, name: str = "test-quota", hard: Json | None = None, **spec: Any) -> None:
    obj = {"metadata": {"name": name}, "spec": {"hard": hard or _HARD, **spec}}
    api.post("resourcequotas", obj).ok()


def _used(api: Api, **wanted: str) -> None:
    _wait(api, "test-quota", wanted)


def _wait(api: Api, name: str, wanted: Json) -> None:
    """Until the quota tells all of its limits and these uses."""

    def holds(quota: Json) -> bool:
        status = quota.get("status", {})
        return status.get("hard") == quota["spec"]["hard"] and wanted.items() <= status.get("used", {}).items()

    eventually(lambda: api.get(f"resourcequotas/{name}").ok(), holds)


def _pod(name: str, resources: Json | None = None, **spec: Any) -> Json:
    container = {"name": "pause", "image": "pause", "resources": resources or {}}
    return {"metadata": {"name": name}, "spec": {"containers": [container], **spec}}


def test_a_quota_is_calculated_promptly(api: Api) -> None:
    _quota(api)
    _used(api, resourcequotas="1")


def test_the_life_of_a_service(api: Api) -> None:
    _quota(api)

    def service(name: str, kind: str, **spec: Any) -> Json:
        ports = [{"port": 80, "targetPort": 80}]
        return {"metadata": {"name": name}, "spec": {"type": kind, "ports": ports, **spec}}

    api.post("services", service("test-service", "ClusterIP")).ok()
    api.post("services", service("test-service-np", "NodePort")).ok()
    balancer = service("test-service-lb", "LoadBalancer", allocateLoadBalancerNodePorts=True)
    api.post("services", balancer).refused(403, "Forbidden")
    _wait(api, "test-quota", {"resourcequotas": "1", "services": "2", "services.nodeports": "1"})
    for name in ("test-service", "test-service-np"):
        api.delete(f"services/{name}").ok()
    _wait(api, "test-quota", {"services": "0", "services.nodeports": "0"})


@pytest.mark.parametrize(
    ("resource", "fields"), [("secrets", {"data": {"data-1": "dmFsdWUtMQ=="}}), ("configmaps", {"data": {"a": "b"}})]
)
def test_the_life_of_a_secret_or_a_config_map(api: Api, resource: str, fields: Json) -> None:
    if resource == "configmaps":
        eventually(lambda: api.get("configmaps").names == ["kube-root-ca.crt"])
    found = len(api.get(resource).names)
    _quota(api, hard={**_HARD, resource: str(found + 1)})
    _used(api, **{resource: str(found)})
    api.post(resource, {"metadata": {"name": "one"}, **fields}).ok()
    _used(api, **{resource: str(found + 1)})
    refused = api.post(resource, {"metadata": {"name": "two"}, **fields}).refused(403, "Forbidden")
    assert f"exceeded quota: test-quota, requested: {resource}=1, used: {resource}={found + 1}" in refused["message"]
    api.delete(f"{resource}/one").ok()
    _used(api, **{resource: str(found)})


def test_the_life_of_a_pod(api: Api) -> None:
    _quota(api)
    _used(api, resourcequotas="1")
    requests = {"cpu": "500m", "memory": "252Mi", "ephemeral-storage": "30Gi", _DONGLE: "2"}
    pod = api.post("pods", _pod("test-pod", {"requests": requests, "limits": {_DONGLE: "2"}})).ok()
    used = {"pods": "1", "cpu": "500m", "memory": "252Mi", "ephemeral-storage": "30Gi", f"requests.{_DONGLE}": "2"}
    _wait(api, "test-quota", used)
    api.post("pods", _pod("fail-pod", {"requests": {"cpu": "600m", "memory": "100Mi"}})).refused(403, "Forbidden")
    more = {"requests": {**requests, "memory": "100Mi"}, "limits": {_DONGLE: "2"}}
    api.post("pods", _pod("fail-pod-for-extended-resource", more)).refused(403, "Forbidden")
    pod["spec"]["containers"][0]["resources"]["requests"] = {
        "cpu": "100m",
        "memory": "100Mi",
        "ephemeral-storage": "10Gi",
    }
    assert api.put("pods/test-pod", pod).code in (403, 422)
    _wait(api, "test-quota", used)
    api.delete("pods/test-pod", {"gracePeriodSeconds": 0}).ok()
    _wait(api, "test-quota", dict.fromkeys(used, "0"))


@pytest.mark.parametrize(
    ("path", "key", "fields"),
    [
        ("replicationcontrollers", "replicationcontrollers", {"replicas": 0, "selector": {"name": "x"}}),
        ("/apis/apps/v1/namespaces/{}/replicasets", "count/replicasets.apps", {"replicas": 0, "selector": {"matchLabels": {"name": "x"}}}),
    ],
)  # fmt: skip
def test_the_life_of_a_replica_set_or_a_replication_controller(api: Api, path: str, key: str, fields: Json) -> None:
    path = path.format(api.namespace)
    _quota(api)
    _wait(api, "test-quota", {key: "0"})
    template = {"metadata": {"labels": {"name": "x"}}, "spec": {"containers": [{"name": "x", "image": "nginx"}]}}
    api.post(path, {"metadata": {"name": "test"}, "spec": {**fields, "template": template}}).ok()
    _wait(api, "test-quota", {key: "1"})
    api.delete(f"{path}/test", {"propagationPolicy": "Background"}).ok()
    _wait(api, "test-quota", {key: "0"})


def _claim(name: str, **spec: Any) -> Json:
    base = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return {"metadata": {"name": name}, "spec": {**base, **spec}}


@pytest.mark.parametrize("storage_class", ["", "gold"])
def test_the_life_of_a_claim(api: Api, storage_class: str) -> None:
    _quota(api)
    used = {"persistentvolumeclaims": "1", "requests.storage": "1Gi"}
    if storage_class:
        used |= {f"gold.storageclass.storage.k8s.io/{key}": value for key, value in used.items()}
    _wait(api, "test-quota", dict.fromkeys(used, "0"))
    api.post(
        "persistentvolumeclaims", _claim("test-claim", **({"storageClassName": "gold"} if storage_class else {}))
    ).ok()
    _wait(api, "test-quota", used)
    api.delete("persistentvolumeclaims/test-claim").ok()
    _wait(api, "test-quota", dict.fromkeys(used, "0"))


def test_the_life_of_a_resource_claim(api: Api) -> None:
    hard = {"count/resourceclaims.resource.k8s.io": "1", "gold.deviceclass.resource.k8s.io/devices": "1"}
    _quota(api, hard=hard)
    _wait(api, "test-quota", dict.fromkeys(hard, "0"))
    claims = f"/apis/resource.k8s.io/v1/namespaces/{api.namespace}/resourceclaims"
    request = {"name": "req-0", "exactly": {"deviceClassName": "gold", "allocationMode": "ExactCount", "count": 1}}
    api.post(claims, {"metadata": {"name": "test-claim"}, "spec": {"devices": {"requests": [request]}}}).ok()
    _wait(api, "test-quota", dict.fromkeys(hard, "1"))
    api.delete(f"{claims}/test-claim").ok()
    _wait(api, "test-quota", dict.fromkeys(hard, "0"))


def test_the_life_of_a_custom_resource(api: Api) -> None:
    crd = create(api, definition(api, versions=("v1",), scope="Namespaced"))
    key = f"count/{crd['spec']['names']['plural']}.{crd['spec']['group']}"
    _quota(api, hard={**_HARD, key: "1"})
    _wait(api, "test-quota", {key: "0"})
    objects = collection(crd, api.namespace)
    api.post(objects, custom(crd, "test-cr-1")).ok()
    _wait(api, "test-quota", {key: "1"})
    api.post(objects, custom(crd, "test-cr-2")).refused(403, "Forbidden")
    api.delete(f"{objects}/test-cr-1").ok()
    _wait(api, "test-quota", {key: "0"})


@pytest.mark.parametrize("by", ["scopes", "scopeSelector"])
def test_terminating_scopes(api: Api, by: str) -> None:
    for name, scope in (("terminating", "Terminating"), ("not-terminating", "NotTerminating")):
        _quota(api, name, {"pods": "1", **dict.fromkeys(_COMPUTE, "1Gi")}, **_scope(by, scope))
        _wait(api, name, {"pods": "0"})
    counted, nothing = {"pods": "1", **_COMPUTE}, {"pods": "0", **dict.fromkeys(_COMPUTE, "0")}
    api.post("pods", _pod("test-pod", _RESOURCES)).ok()
    _wait(api, "not-terminating", counted)
    _wait(api, "terminating", nothing)
    if by == "scopeSelector":
        found = api.get("pods/test-pod").ok()
        found["spec"]["activeDeadlineSeconds"] = 3600
        api.put("pods/test-pod", found).ok()
        api.post("pods", _pod("terminating-pod", _RESOURCES, activeDeadlineSeconds=3600)).refused(403, "Forbidden")
        _wait(api, "terminating", counted)
        _wait(api, "not-terminating", nothing)
    api.delete("pods/test-pod", {"gracePeriodSeconds": 0}).ok()
    _wait(api, "not-terminating", nothing)
    _wait(api, "terminating", nothing)
    api.post("pods", _pod("terminating-pod", _RESOURCES, activeDeadlineSeconds=3600)).ok()
    _wait(api, "terminating", counted)
    _wait(api, "not-terminating", nothing)
    api.delete("pods/terminating-pod", {"gracePeriodSeconds": 0}).ok()
    _wait(api, "terminating", nothing)


def _scope(by: str, scope: str) -> Json:
    selector = {"matchExpressions": [{"operator": "Exists", "scopeName": scope}]}
    return {"scopes": [scope]} if by == "scopes" else {"scopeSelector": selector}


@pytest.mark.parametrize("by", ["scopes", "scopeSelector"])
def test_best_effort_scopes(api: Api, by: str) -> None:
    for name, scope in (("best", "BestEffort"), ("not-best", "NotBestEffort")):
        _quota(api, name, {"pods": "5"}, **_scope(by, scope))
        _wait(api, name, {"pods": "0"})
    for pod, counts, ignores in (
        (_pod("besteffort"), "best", "not-best"),
        (_pod("burstable", _RESOURCES), "not-best", "best"),
    ):
        api.post("pods", pod).ok()
        _wait(api, counts, {"pods": "1"})
        _wait(api, ignores, {"pods": "0"})
        api.delete(f"pods/{pod['metadata']['name']}", {"gracePeriodSeconds": 0}).ok()
        _wait(api, counts, {"pods": "0"})

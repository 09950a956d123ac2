"""resource_quota.go, the rest: a quota's own life and status, and scopes by priority class, affinity, class of volumes."""

from __future__ import annotations

import pytest
from api_client import Api, Json
from eventually import eventually, told
from test_k8s_quota import _claim, _pod, _quota, _wait


def test_a_quota_is_updated_and_deleted(api: Api) -> None:
    made = api.post(
        "resourcequotas", {"metadata": {"name": "test-quota"}, "spec": {"hard": {"cpu": "1", "memory": "500Mi"}}}
    ).ok()
    assert made["spec"]["hard"] == {"cpu": "1", "memory": "500Mi"}
    assert api.get("resourcequotas/test-quota").ok()["spec"] == made["spec"]
    found = api.get("resourcequotas/test-quota").ok()
    found["spec"]["hard"] = {"cpu": "2", "memory": "1Gi"}
    eventually(lambda: api.put("resourcequotas/test-quota", {**found, "metadata": {"name": "test-quota"}}).code == 200)
    assert api.get("resourcequotas/test-quota").ok()["spec"]["hard"] == {"cpu": "2", "memory": "1Gi"}
    api.delete("resourcequotas/test-quota").ok()
    api.get("resourcequotas/test-quota").refused(404, "NotFound")


def test_a_quota_lives_and_is_deleted_as_a_collection(api: Api) -> None:
    label = {"e2e-test": api.namespace}
    hard = {"cpu": "500m", "memory": "500Mi"}
    api.post("resourcequotas", {"metadata": {"name": "lifecycle", "labels": label}, "spec": {"hard": hard}}).ok()
    query = {"labelSelector": f"e2e-test={api.namespace}"}
    assert api.get("/api/v1/resourcequotas", **query).names == ["lifecycle"]
    patch = {"metadata": {"labels": {"lifecycle": "patched"}}, "spec": {"hard": {"memory": "750Mi"}}}
    patched = api.patch("strategic", "resourcequotas/lifecycle", patch).ok()
    assert patched["metadata"]["labels"]["lifecycle"] == "patched"
    assert patched["spec"]["hard"] == {"cpu": "500m", "memory": "750Mi"}
    api.delete("resourcequotas", **query).ok()
    assert api.get("/api/v1/resourcequotas", **query).names == []


def test_the_status_of_a_quota_is_written_and_comes_back(api: Api) -> None:
    """The controller puts back what somebody else has written into it: here at once, in Kubernetes within 5 minutes."""
    label = {"e2e-status": api.namespace}
    hard = {"cpu": "500m", "memory": "500Mi"}
    query = {"labelSelector": f"e2e-status={api.namespace}"}
    watch = api.watch("resourcequotas", 20, resourceVersion=api.get("resourcequotas", **query).revision, **query)
    api.post("resourcequotas", {"metadata": {"name": "q", "labels": label}, "spec": {"hard": hard}}).ok()

    def put() -> bool:
        found = api.get("resourcequotas/q").ok()
        found["status"] = {"hard": hard}
        return api.put("resourcequotas/q/status", found).code == 200

    eventually(put)
    told(watch, "", lambda obj: obj.get("status", {}).get("hard") == hard)
    patched = api.patch("strategic", "resourcequotas/q", {"spec": {"hard": {"cpu": "1", "memory": "1Gi"}}}).ok()
    hard = patched["spec"]["hard"]
    api.patch("strategic", "resourcequotas/q/status", {"status": {"hard": hard}}).ok()
    told(watch, "", lambda obj: obj["status"]["hard"] == hard)
    assert api.get("resourcequotas/q/status").ok()["status"]["hard"] == {"cpu": "1", "memory": "1Gi"}
    more = {"cpu": "2", "memory": "2Gi"}
    repatched = api.patch("strategic", "resourcequotas/q/status", {"status": {"hard": more}}).ok()
    assert repatched["status"]["hard"] == more and repatched["spec"]["hard"] == hard
    told(watch, "", lambda obj: obj["status"]["hard"] == more)
    eventually(
        lambda: api.get("resourcequotas/q").ok(), lambda obj: obj["status"]["hard"] == obj["spec"]["hard"] == hard
    )


def _selector(scope: str, operator: str, *values: str) -> Json:
    expression = {"scopeName": scope, "operator": operator, **({"values": list(values)} if values else {})}
    return {"scopeSelector": {"matchExpressions": [expression]}}


def _priority_class(api: Api, name: str) -> None:
    api.post("/apis/scheduling.k8s.io/v1/priorityclasses", {"metadata": {"name": name}, "value": 1000})


@pytest.mark.parametrize(
    ("operator", "values", "counted", "ignored"),
    [
        ("In", ("pclass1",), "pclass1", "pclass2"),
        ("In", ("pclass1", "pclass2"), "pclass2", "pclass3"),
        ("NotIn", ("pclass1",), "pclass2", "pclass1"),
        ("Exists", (), "pclass1", ""),
    ],
)
def test_scopes_by_priority_class(api: Api, operator: str, values: tuple[str, ...], counted: str, ignored: str) -> None:
    for name in ("pclass1", "pclass2", "pclass3"):
        _priority_class(api, name)
    _quota(api, "quota", {"pods": "1"}, **_selector("PriorityClass", operator, *values))
    _wait(api, "quota", {"pods": "0"})
    api.post("pods", _pod("ignored", **({"priorityClassName": ignored} if ignored else {}))).ok()
    _wait(api, "quota", {"pods": "0"})
    api.post("pods", _pod("counted", priorityClassName=counted)).ok()
    _wait(api, "quota", {"pods": "1"})
    api.post("pods", _pod("too-many", priorityClassName=counted)).refused(403, "Forbidden")
    api.delete("pods/counted", {"gracePeriodSeconds": 0}).ok()
    _wait(api, "quota", {"pods": "0"})


def test_compute_of_pods_of_a_priority_class(api: Api) -> None:
    _priority_class(api, "pclass9")
    hard = {
        "cpu": "1",
        "memory": "1Gi",
        "requests.cpu": "1",
        "requests.memory": "1Gi",
        "limits.cpu": "3",
        "limits.memory": "3Gi",
        "pods": "1",
    }
    _quota(api, "quota", hard, **_selector("PriorityClass", "In", "pclass9"))
    _wait(api, "quota", dict.fromkeys(hard, "0"))
    resources = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "2Gi"}}
    api.post("pods", _pod("pod", resources, priorityClassName="pclass9")).ok()
    _wait(api, "quota", {**hard, "limits.cpu": "2", "limits.memory": "2Gi"})
    api.delete("pods/pod", {"gracePeriodSeconds": 0}).ok()
    _wait(api, "quota", dict.fromkeys(hard, "0"))


def test_scopes_by_affinity_across_namespaces(api: Api) -> None:
    _quota(api, "quota", {"pods": "1"}, **_selector("CrossNamespacePodAffinity", "Exists"))
    _wait(api, "quota", {"pods": "0"})

    def affine(name: str, **term: object) -> Json:
        base = {"labelSelector": {"matchLabels": {"app": "test"}}, "topologyKey": "region", **term}
        return _pod(name, affinity={"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [base]}})

    api.post("pods", affine("no-cross-namespace-affinity")).ok()
    _wait(api, "quota", {"pods": "0"})
    api.post("pods", affine("with-namespaces", namespaces=["ns1"])).ok()
    _wait(api, "quota", {"pods": "1"})
    selector = {"namespaceSelector": {"matchLabels": {"team": "one"}}}
    api.post("pods", affine("with-namespace-selector", **selector)).refused(403, "Forbidden")
    api.delete("pods/with-namespaces", {"gracePeriodSeconds": 0}).ok()
    _wait(api, "quota", {"pods": "0"})


def test_scopes_by_class_of_volume_attributes(api: Api) -> None:
    hard = {"requests.storage": "5Gi", "persistentvolumeclaims": "1"}
    for name in ("gold", "silver"):
        _quota(api, name, hard, **_selector("VolumeAttributesClass", "In", name))
        _wait(api, name, dict.fromkeys(hard, "0"))
    claims = "persistentvolumeclaims"
    api.post(claims, _claim("test-claim-1", storageClassName="", volumeAttributesClassName="gold")).ok()
    _wait(api, "gold", {"requests.storage": "1Gi", "persistentvolumeclaims": "1"})
    _wait(api, "silver", dict.fromkeys(hard, "0"))
    two = _claim("test-claim-2", storageClassName="", volumeAttributesClassName="gold")
    api.post(claims, two).refused(403, "Forbidden")
    api.delete(f"{claims}/test-claim-1").ok()
    _wait(api, "gold", dict.fromkeys(hard, "0"))


def test_of_several_quotas_every_one_that_matches_counts(api: Api) -> None:
    _quota(api, "all", {"pods": "5"})
    _quota(api, "best", {"pods": "1"}, scopes=["BestEffort"])
    for name in ("all", "best"):
        _wait(api, name, {"pods": "0"})
    api.post("pods", _pod("one")).ok()
    for name in ("all", "best"):
        _wait(api, name, {"pods": "1"})
    refused = api.post("pods", _pod("two")).refused(403, "Forbidden")
    assert "exceeded quota: best" in refused["message"]
    _wait(api, "all", {"pods": "1"})

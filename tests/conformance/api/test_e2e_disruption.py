"""Kubernetes' test/e2e/apps/disruption.go: budgets, what they count, and evictions that they hold up."""

from __future__ import annotations

from typing import Any

import pytest
from api_client import Answer, Api
from living_cluster import eventually
from workload_client import Workloads, lone_pod, replica_set

Json = dict[str, Any]
LABELS = {"foo": "bar"}


def budget(name: str = "foo", **spec: Any) -> Json:
    spec = {"selector": {"matchLabels": LABELS}, **spec}
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name}, "spec": spec}


def make(work: Workloads, **spec: Any) -> str:
    work.post(work.policy("poddisruptionbudgets"), budget(**spec)).ok()
    path = work.policy("poddisruptionbudgets/foo")
    work.until(path, "processed", lambda b: b["status"].get("observedGeneration", 0) >= b["metadata"]["generation"])
    return path


def evict(work: Workloads, name: str, **options: Any) -> Answer:
    metadata = {"name": name, "namespace": work.namespace}
    body: Json = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
    return work.post(f"pods/{name}/eviction", body | ({"deleteOptions": options} if options else {}))


def allows(work: Workloads, path: str, count: int) -> None:
    work.until(path, f"allows {count}", lambda b: b["status"]["disruptionsAllowed"] == count)


def denied(answer: Answer) -> str:
    """The message of the cause."""
    status = answer.refused(429, "TooManyRequests")
    assert status["message"] == "Cannot evict pod as it would violate the pod's disruption budget."
    (cause,) = status["details"]["causes"]
    assert cause["reason"] == "DisruptionBudget"
    return str(cause["message"])


def test_a_collection_of_all_namespaces(work: Workloads) -> None:
    """Listing PodDisruptionBudgets for all namespaces should list and delete a collection"""
    mark = {"e2e-pdb": work.namespace}
    for name in ("foo", "foo2"):
        obj = budget(name, minAvailable=2)
        obj["metadata"]["labels"] = mark
        work.post(work.policy("poddisruptionbudgets"), obj).ok()
    every = "/apis/policy/v1/poddisruptionbudgets"
    assert work.get(every, labelSelector=f"e2e-pdb={work.namespace}").names == ["foo", "foo2"]
    work.delete(work.policy("poddisruptionbudgets"), labelSelector=f"e2e-pdb={work.namespace}").ok()
    assert work.get(every, labelSelector=f"e2e-pdb={work.namespace}").names == []


def test_created_updated_patched_deleted(work: Workloads) -> None:
    """should create a PodDisruptionBudget"""
    path = make(work, minAvailable="1%")
    assert work.change(path, lambda b: b["spec"].update(minAvailable="2%"))["spec"]["minAvailable"] == "2%"
    patched = work.patch("strategic", path, {"spec": {"minAvailable": "3%"}}).ok()
    assert patched["spec"]["minAvailable"] == "3%"
    assert patched["metadata"]["generation"] == 3
    work.delete(path).ok()
    assert work.get(path).code == 404


def test_status_follows_the_pods(work: Workloads) -> None:
    """should observe PodDisruptionBudget status updated"""
    path = make(work, minAvailable=1)
    for number in range(3):
        work.post("pods", lone_pod(f"pod-{number}", LABELS)).ok()
    work.running(3)
    allows(work, path, 2)
    status = work.get(path).ok()["status"]
    assert (status["expectedPods"], status["currentHealthy"], status["desiredHealthy"]) == (3, 3, 1)
    (row,) = status["conditions"]
    assert (row["type"], row["status"], row["reason"]) == ("DisruptionAllowed", "True", "SufficientPods")


def test_status_is_updated_and_patched(work: Workloads) -> None:
    """should update/patch PodDisruptionBudget status"""
    path = make(work, minAvailable=1)
    work.post("pods", lone_pod("pod-0", LABELS)).ok()
    work.running(1)
    work.until(path, "healthy", lambda b: b["status"]["currentHealthy"] == 1)
    seconds = "2026-01-01T00:00:00Z"

    def update() -> bool:
        obj = work.get(path).ok()
        obj["status"]["disruptedPods"] = {"pod-0": seconds}
        answer = work.put(f"{path}/status", obj)
        return answer.code == 200 and answer.json["status"]["disruptedPods"] == {"pod-0": seconds}

    eventually("updated", update)
    old = work.until(path, "forgotten", lambda b: not b["status"].get("disruptedPods"))
    patch = {"metadata": {"resourceVersion": old["metadata"]["resourceVersion"]}}
    patch["status"] = {"disruptedPods": {"pod-1": seconds}}
    told = work.patch("merge", f"{path}/status", patch).ok()
    assert told["status"]["disruptedPods"] == {"pod-1": seconds}


@pytest.mark.parametrize(
    ("spec", "pods", "replicas", "allowed"),
    [
        (None, 1, 0, True),
        ({"minAvailable": 2}, 2, 0, False),
        ({"minAvailable": 2}, 3, 0, True),
        ({"minAvailable": "90%"}, 0, 10, True),
        ({"minAvailable": "100%"}, 0, 10, False),
        ({"maxUnavailable": "10%"}, 0, 10, True),
        ({"maxUnavailable": 0}, 0, 10, False),
    ],
)
def test_evictions(work: Workloads, spec: Json | None, pods: int, replicas: int, allowed: bool) -> None:
    """evictions: (no PDB | too few pods | enough pods | maxUnavailable ...) => should (not) allow an eviction"""
    for number in range(pods):
        work.post("pods", lone_pod(f"pod-{number}", LABELS)).ok()
    if replicas:
        work.post(work.apps("replicasets"), replica_set("rs", replicas, LABELS)).ok()
    name = work.running(pods + replicas)[0]["metadata"]["name"]
    if spec is not None:
        path = make(work, **spec)
        work.until(path, "all are seen", lambda b: b["status"]["currentHealthy"] == pods + replicas)
    if allowed:
        eventually("evicted", lambda: evict(work, name).code == 201)
    else:
        healthy = pods + replicas
        assert (
            denied(evict(work, name))
            == f"The disruption budget foo needs {healthy} healthy pods and has {healthy} currently"
        )


def test_an_eviction_is_blocked_until_the_budget_allows_it(work: Workloads) -> None:
    """should block an eviction until the PDB is updated to allow it"""
    path = make(work, minAvailable=3)
    work.post(work.apps("replicasets"), replica_set("rs", 3, LABELS)).ok()
    first, second, third = (pod["metadata"]["name"] for pod in work.running(3))
    work.until(path, "all are seen", lambda b: b["status"]["currentHealthy"] == 3)
    denied(evict(work, first))
    work.change(path, lambda b: b["spec"].update(minAvailable=2))
    allows(work, path, 1)
    assert evict(work, first).code == 201
    work.running(3)
    allows(work, path, 1)
    work.patch("merge", path, {"spec": {"minAvailable": 3}}).ok()
    allows(work, path, 0)
    denied(evict(work, second))
    work.delete(path).ok()
    assert evict(work, second).code == 201
    assert evict(work, third, dryRun=["All"]).code == 201
    assert work.get(f"pods/{third}").code == 200


def test_one_allowance_is_for_one_eviction(api: Api) -> None:
    """On a gateway without controllers: nobody counts anew what the first eviction has taken."""
    alone = Workloads(api.served, api.namespace)
    path = alone.policy("poddisruptionbudgets/foo")
    alone.post(alone.policy("poddisruptionbudgets"), budget(minAvailable=1)).ok()
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    for name in ("a", "b"):
        alone.post("pods", lone_pod(name, LABELS)).ok()
        alone.patch("merge", f"pods/{name}/status", {"status": ready}).ok()
    status = {"observedGeneration": 1, "disruptionsAllowed": 1, "currentHealthy": 2, "desiredHealthy": 1}
    alone.patch("merge", f"{path}/status", {"status": {**status, "expectedPods": 2}}).ok()
    assert evict(alone, "a", dryRun=["All"]).code == 201
    assert alone.get(path).ok()["status"]["disruptionsAllowed"] == 1
    assert evict(alone, "a").code == 201
    told = alone.get(path).ok()["status"]
    assert (told["disruptionsAllowed"], [*told["disruptedPods"]]) == (0, ["a"])
    assert told["conditions"][0]["reason"] == "InsufficientPods"
    assert denied(evict(alone, "b")) == "The disruption budget foo does not allow evicting pods currently"
    alone.patch("merge", path, {"spec": {"minAvailable": 0}}).ok()
    late = evict(alone, "b")
    assert denied(late) == "The disruption budget foo is still being processed by the server."
    assert late.headers["Retry-After"] == "10"


def test_what_is_evicted_is_told_to_be_disrupted(work: Workloads) -> None:
    obj = lone_pod("held", LABELS)
    obj["metadata"]["finalizers"] = ["example.com/hold"]
    work.post("pods", obj).ok()
    work.running(1)
    assert evict(work, "held").code == 201
    pod = work.get("pods/held").ok()
    (row,) = [row for row in pod["status"]["conditions"] if row["type"] == "DisruptionTarget"]
    assert (row["status"], row["reason"], row["message"]) == ("True", "EvictionByEvictionAPI", "Eviction API: evicting")
    assert "deletionTimestamp" in pod["metadata"]
    work.patch("merge", "pods/held", {"metadata": {"finalizers": None}}).ok()


def test_what_is_not_ready_goes_where_the_policy_or_the_surplus_lets_it(work: Workloads) -> None:
    """pkg/registry/core/pod/storage/eviction.go: unhealthyPodEvictionPolicy"""
    path = make(work, minAvailable=2)
    for number in range(3):
        work.post("pods", lone_pod(f"pod-{number}", LABELS)).ok()
    work.running(3)
    work.living.set_ready(work.namespace, "pod-0", False)
    work.until(path, "two are healthy", lambda b: b["status"]["currentHealthy"] == 2)
    denied(evict(work, "pod-1"))
    assert evict(work, "pod-0").code == 201
    work.living.set_ready(work.namespace, "pod-1", False)
    work.until(path, "one is healthy", lambda b: b["status"]["currentHealthy"] == 1)
    denied(evict(work, "pod-1"))
    work.patch("merge", path, {"spec": {"unhealthyPodEvictionPolicy": "AlwaysAllow"}}).ok()
    assert evict(work, "pod-1").code == 201


def test_two_budgets_for_one_pod_are_one_too_many(work: Workloads) -> None:
    make(work, minAvailable=0)
    work.post(work.policy("poddisruptionbudgets"), budget("foo2", minAvailable=0)).ok()
    work.post("pods", lone_pod("pod-0", LABELS)).ok()
    work.running(1)
    status = evict(work, "pod-0")
    assert status.code == 500
    assert "more than one PodDisruptionBudget" in status.json["message"]


def test_a_pod_that_does_not_run_goes_whatever_the_budget_says(work: Workloads) -> None:
    make(work, minAvailable=5)
    obj = lone_pod("waiting", LABELS)
    obj["spec"]["nodeSelector"] = {"there": "is-none"}
    work.post("pods", obj).ok()
    assert evict(work, "waiting").code == 201
    work.gone("pods/waiting")
    assert evict(work, "waiting").code == 404


def test_pods_of_a_controller_without_a_scale_fail_the_budget(work: Workloads) -> None:
    obj = lone_pod("pod-0", LABELS)
    ref = {"apiVersion": "example.com/v1", "kind": "Thing", "name": "thing", "uid": "u", "controller": True}
    obj["metadata"]["ownerReferences"] = [ref]
    work.post("pods", obj).ok()
    work.running(1)
    work.post(work.policy("poddisruptionbudgets"), budget(maxUnavailable=1)).ok()
    path = work.policy("poddisruptionbudgets/foo")
    shown = work.until(path, "failed", lambda b: b["status"].get("conditions"))
    assert shown["status"]["conditions"][0]["reason"] == "SyncFailed"
    assert "still being processed" in denied(evict(work, "pod-0"))

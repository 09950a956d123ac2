"""Kubernetes' test/e2e/apps/replica_set.go and rc.go: what ReplicaSets and ReplicationControllers do."""

from __future__ import annotations

import json
from typing import Any

import pytest
from living_cluster import eventually
from workload_client import PAUSE, Workloads, lone_pod, owners, replica_set, replication_controller

Json = dict[str, Any]
SAMPLE = {"name": "sample-pod", "pod": "httpd"}
KINDS = pytest.mark.parametrize("kind", ["replicasets", "replicationcontrollers"])


def make(work: Workloads, kind: str, name: str, replicas: int, labels: Json) -> tuple[str, Json]:
    """The path of a new one, and the object."""
    if kind == "replicasets":
        path, obj = work.apps(kind), replica_set(name, replicas, labels)
    else:
        path, obj = f"{work.root}{kind}", replication_controller(name, replicas, labels)
    return f"{path}/{name}", work.post(path, obj).ok()


@KINDS
def test_runs_a_pod_for_each_replica(work: Workloads, kind: str) -> None:
    """should serve a basic image on each replica with a public image (without the dialling)"""
    path, _ = make(work, kind, "my-hostname-basic", 2, {"name": "my-hostname-basic"})
    pods = work.running(2, "name=my-hostname-basic")
    assert {pod["status"]["phase"] for pod in pods} == {"Running"}
    work.until(path, "all available", lambda rs: rs["status"].get("availableReplicas") == 2)


@KINDS
def test_a_refused_pod_shows_as_a_condition_until_fewer_are_wanted(work: Workloads, kind: str) -> None:
    """should surface a failure condition on a common issue like exceeded quota"""
    quota = {"metadata": {"name": "condition-test"}, "spec": {"hard": {"pods": "2"}}}
    work.post("resourcequotas", quota).ok()
    work.until("resourcequotas/condition-test", "synced", lambda q: q["status"].get("hard", {}).get("pods") == "2")
    path, made = make(work, kind, "condition-test", 3, {"name": "condition-test"})

    def failure(obj: Json) -> list[Json]:
        conditions = obj["status"].get("conditions") or ()
        return [row for row in conditions if row["type"] == "ReplicaFailure"]

    def seen(obj: Json) -> bool:
        return bool(obj["status"].get("observedGeneration", 0) >= made["metadata"]["generation"])

    shown = work.until(path, "the condition", lambda obj: seen(obj) and failure(obj))
    (row,) = failure(shown)
    assert (row["status"], row["reason"]) == ("True", "FailedCreate")
    assert "exceeded quota: condition-test" in row["message"]
    made = work.change(path, lambda obj: obj["spec"].update(replicas=2))
    work.until(path, "no condition", lambda obj: seen(obj) and not failure(obj))


@KINDS
def test_adopts_what_matches_and_lets_go_of_what_no_longer_does(work: Workloads, kind: str) -> None:
    """should adopt matching pods on creation (and release no longer matching pods)"""
    labels = {"name": "pod-adoption-release"}
    work.post("pods", lone_pod("pod-adoption-release", labels)).ok()
    work.running(1, "name=pod-adoption-release")
    _, made = make(work, kind, "pod-adoption-release", 1, labels)
    uid = made["metadata"]["uid"]
    work.until("pods/pod-adoption-release", "adopted", lambda pod: owners(pod) == [uid])
    assert len(work.items("pods")) == 1
    work.change("pods/pod-adoption-release", lambda pod: pod["metadata"].update(labels={"name": "not-matching-name"}))
    work.until("pods/pod-adoption-release", "released", lambda pod: uid not in owners(pod))
    (other,) = work.running(1, "name=pod-adoption-release")
    assert owners(other) == [uid]


@KINDS
def test_scale_is_a_resource_of_its_own(work: Workloads, kind: str) -> None:
    """Replicaset should have a working scale subresource; should get and update a ReplicationController scale"""
    path, _ = make(work, kind, "test-rs", 1, SAMPLE)
    work.running(1, "name=sample-pod")
    work.until(path, "status", lambda rs: rs["status"]["replicas"] == 1)
    work.scales(path, 1)
    work.until(path, "four", lambda rs: rs["status"]["replicas"] == 4)


def test_replace_and_patch(work: Workloads) -> None:
    """Replace and Patch tests. What a strategic patch adds to containers comes first, as in Kubernetes."""
    revision = work.get("/apis/apps/v1/replicasets", labelSelector="test-rs=patched").revision
    path, _ = make(work, "replicasets", "test-rs", 1, SAMPLE)
    work.running(1, "name=sample-pod")
    work.change(path, lambda rs: rs["spec"].update(replicas=2))
    spec = {"terminationGracePeriodSeconds": 0, "containers": [{"name": "test-rs", "image": PAUSE}]}
    patch = {"metadata": {"labels": {"test-rs": "patched"}}, "spec": {"replicas": 3, "template": {"spec": spec}}}
    work.patch("strategic", path, patch).ok()
    watch = work.watch(work.apps("replicasets"), 20, labelSelector="test-rs=patched", resourceVersion=revision)
    while True:
        seen = watch.next()["object"]
        if seen["status"].get("readyReplicas") == 3 and seen["status"].get("availableReplicas") == 3:
            break
    watch.close()
    assert seen["spec"]["template"]["spec"]["containers"][0]["image"] == PAUSE
    assert seen["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 0


def test_a_collection_is_listed_and_deleted(work: Workloads) -> None:
    """should list and delete a collection of ReplicaSets"""
    make(work, "replicasets", "test-rs", 3, {**SAMPLE, "e2e": work.namespace})
    work.running(3, "name=sample-pod")
    every = "/apis/apps/v1/replicasets"
    assert work.get(every, labelSelector=f"e2e={work.namespace}").names == ["test-rs"]
    options = {"gracePeriodSeconds": 1}
    work.delete(work.apps("replicasets"), options, labelSelector=f"e2e={work.namespace}").ok()
    assert work.get(every, labelSelector=f"e2e={work.namespace}").names == []
    work.running(0)


@KINDS
def test_status_is_read_updated_and_patched(work: Workloads, kind: str) -> None:
    """should validate Replicaset Status endpoints"""
    path, _ = make(work, kind, "test-rs", 1, SAMPLE)
    work.running(1, "name=sample-pod")
    work.until(path, "ready", lambda rs: rs["status"].get("readyReplicas") == 1)
    work.holds_status(path, SAMPLE)


def test_the_lifecycle_of_a_replication_controller(work: Workloads) -> None:
    """should test the lifecycle of a ReplicationController: each change is an event of one watch, in order"""
    labels, path = {"test-rc-static": "true"}, "replicationcontrollers/rc-test"
    revision = work.get("replicationcontrollers").revision
    watch = work.watch("replicationcontrollers", 60, labelSelector="test-rc-static=true", resourceVersion=revision)
    obj = replication_controller("rc-test", 1, labels)
    obj["metadata"]["labels"] = labels
    obj["spec"]["selector"] = labels
    work.post("replicationcontrollers", obj).ok()

    def upto(what: str, test: Any) -> Json:
        while True:
            event = watch.next()
            if test(event):
                return event

    def counts(replicas: int) -> Any:
        def test(event: Json) -> bool:
            status = event["object"]["status"]
            return (status.get("replicas"), status.get("readyReplicas")) == (replicas, replicas)

        return test

    def modified(event: Json) -> bool:
        return bool(event["type"] == "MODIFIED")

    assert upto("added", lambda event: True)["type"] == "ADDED"
    upto("available", counts(1))
    patched = work.patch("strategic", path, {"metadata": {"labels": {"test-rc": "patched"}}, "status": {"replicas": 0}})
    assert patched.ok()["metadata"]["labels"]["test-rc"] == "patched"
    upto("labelled", modified)
    none = work.patch("strategic", f"{path}/status", {"status": {"readyReplicas": 0, "availableReplicas": 0}}).ok()
    assert none["status"].get("readyReplicas", 0) == 0
    upto("status", modified)
    assert work.get(f"{path}/status").ok()["status"]["replicas"] == 1
    work.patch("strategic", f"{path}/scale", {"metadata": {}, "spec": {"replicas": 2}, "status": {"replicas": 0}}).ok()
    upto("scaled", counts(2))
    found = work.get(path).ok()
    assert found["metadata"]["labels"]["test-rc"] == "patched"

    def update() -> bool:
        obj = work.get(path).ok()
        obj["status"] |= {"availableReplicas": 1, "readyReplicas": 1}
        return work.put(f"{path}/status", obj).code == 200

    eventually("status updated", update)
    upto("updated", modified)
    everywhere = work.items("/api/v1/replicationcontrollers", "test-rc-static=true")
    assert [(item["metadata"]["name"], item["metadata"]["labels"]["test-rc"]) for item in everywhere] == [
        ("rc-test", "patched")
    ]
    work.delete("replicationcontrollers", labelSelector="test-rc-static=true").ok()
    upto("deleted", lambda event: event["type"] == "DELETED")
    watch.close()
    assert len(work.items("pods")) == 2, "a ReplicationController's pods stay, by default"
    assert all(owners(pod) == [] for pod in work.items("pods"))


def test_the_selector_of_a_replication_controller_is_its_templates_labels(work: Workloads) -> None:
    _, made = make(work, "replicationcontrollers", "plain", 0, {"a": "b"})
    assert json.dumps([made["spec"]["selector"], made["metadata"]["labels"]]) == '[{"a": "b"}, {"a": "b"}]'

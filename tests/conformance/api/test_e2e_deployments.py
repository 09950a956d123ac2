"""Kubernetes' test/e2e/apps/deployment.go: rollouts, their history, and what a client sees of them."""

from __future__ import annotations

from typing import Any

from living_cluster import eventually
from workload_client import AGNHOST, NEW_WEB, WEB, Workloads, owners, replica_set, template

Json = dict[str, Any]
REVISION = "deployment.kubernetes.io/revision"
SAMPLE = {"name": "sample-pod"}


def deployment(name: str, replicas: int, labels: Json, image: str = WEB, **spec: Any) -> Json:
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template(labels, image), **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": labels}, "spec": spec}


def rolling(surge: Any, unavailable: Any) -> Json:
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


def is_complete(obj: Json) -> bool:
    status, wanted = obj["status"], obj["spec"]["replicas"]
    counts = [status.get(name, 0) for name in ("updatedReplicas", "replicas", "availableReplicas")]
    return counts == [wanted] * 3 and status.get("observedGeneration", 0) >= obj["metadata"]["generation"]


def sets_of(work: Workloads, obj: Json) -> tuple[list[Json], list[Json]]:
    """The set of the present template, and the others."""
    mine = [rs for rs in work.items(work.apps("replicasets")) if owners(rs) == [obj["metadata"]["uid"]]]
    image = obj["spec"]["template"]["spec"]["containers"][0]["image"]
    new = [rs for rs in mine if rs["spec"]["template"]["spec"]["containers"][0]["image"] == image]
    return new, [rs for rs in mine if rs not in new]


def make(work: Workloads, obj: Json) -> str:
    made = work.post(work.apps("deployments"), obj).ok()
    return work.apps(f"deployments/{made['metadata']['name']}")


def test_a_rolling_update_takes_over_a_set_and_replaces_its_pods(work: Workloads) -> None:
    """RollingUpdateDeployment should delete old pods and create new ones"""
    before = replica_set("test-rolling-update-controller", 1, {**SAMPLE, "pod": "httpd"})
    before["metadata"]["annotations"] = {REVISION: "3546343826724305832"}
    work.post(work.apps("replicasets"), before).ok()
    work.running(1, "name=sample-pod")
    path = make(work, deployment("test-rolling-update-deployment", 1, SAMPLE, AGNHOST))
    done = work.until(path, "complete", is_complete)
    assert done["metadata"]["annotations"][REVISION] == "3546343826724305833"
    new, old = sets_of(work, done)
    assert [rs["metadata"]["name"] for rs in old] == ["test-rolling-update-controller"]
    assert [rs["spec"]["replicas"] for rs in old] == [0]
    assert "pod-template-hash" in new[0]["spec"]["selector"]["matchLabels"]
    (pod,) = work.running(1, "name=sample-pod")
    assert pod["spec"]["containers"][0]["image"] == AGNHOST
    work.until(path, "one replica", lambda d: d["status"]["replicas"] == 1)


def test_recreate_has_no_new_pod_beside_an_old_one(work: Workloads) -> None:
    """RecreateDeployment should delete old pods and create new ones"""
    revision = work.get("pods").revision
    path = make(work, deployment("test-recreate-deployment", 1, SAMPLE, AGNHOST, strategy={"type": "Recreate"}))
    first = work.until(path, "complete", is_complete)
    assert first["metadata"]["annotations"][REVISION] == "1"
    work.change(path, lambda d: d["spec"]["template"]["spec"]["containers"][0].update(image=WEB))
    done = work.until(path, "the second", lambda d: is_complete(d) and d["metadata"]["annotations"][REVISION] == "2")
    assert len(sets_of(work, done)[1]) == 1
    live: dict[str, str] = {}
    for event in work.watch("pods", resourceVersion=revision).events():
        pod = event["object"]
        if event["type"] == "DELETED":
            live.pop(pod["metadata"]["name"], None)
        elif "deletionTimestamp" not in pod["metadata"]:
            live[pod["metadata"]["name"]] = pod["spec"]["containers"][0]["image"]
        assert len(set(live.values())) <= 1, live


def test_old_sets_go_beyond_the_limit_of_the_history(work: Workloads) -> None:
    """deployment should delete old replica sets"""
    work.post(work.apps("replicasets"), replica_set("test-cleanup-controller", 1, {"name": "cleanup-pod"})).ok()
    work.running(1, "name=cleanup-pod")
    labels = {"name": "cleanup-pod"}
    path = make(work, deployment("test-cleanup-deployment", 1, labels, AGNHOST, revisionHistoryLimit=0))
    work.until(path, "complete", is_complete)
    eventually("the old set is gone", lambda: not sets_of(work, work.get(path).ok())[1])
    assert len(work.items(work.apps("replicasets"))) == 1


def test_a_rollout_is_overtaken_by_the_next(work: Workloads) -> None:
    """deployment should support rollover"""
    labels = {"name": "rollover-pod"}
    work.post(work.apps("replicasets"), replica_set("test-rollover-controller", 1, labels)).ok()
    work.running(1, "name=rollover-pod")
    obj = deployment("test-rollover-deployment", 1, labels, "redis-slave:404", strategy=rolling(1, 0))
    obj["spec"]["minReadySeconds"] = 1
    path = make(work, obj)
    first = work.until(path, "progress", lambda d: d["status"].get("updatedReplicas") == 1)
    assert first["metadata"]["annotations"][REVISION] == "1"
    assert work.get(path).ok()["status"].get("availableReplicas") == 1, (
        "the old pod stays while the new one is not ready"
    )
    work.change(path, lambda d: d["spec"]["template"]["spec"]["containers"][0].update(image=AGNHOST))
    done = work.until(path, "complete", is_complete)
    assert done["metadata"]["annotations"][REVISION] == "2"
    old = sets_of(work, done)[1]
    assert [rs["spec"]["replicas"] for rs in old] == [0, 0]
    eventually(
        "none is left", lambda: all(rs["status"]["replicas"] == 0 for rs in sets_of(work, work.get(path).ok())[1])
    )


def test_scaling_amid_a_rollout_is_shared_out(work: Workloads) -> None:
    """deployment should support proportional scaling: 10 + 3 of which 8 are available, then 30 + 3 in the same parts"""
    labels = {"name": "httpd"}
    path = make(work, deployment("webserver-deployment", 10, labels, strategy=rolling(3, 2)))
    work.until(path, "complete", is_complete)
    work.change(path, lambda d: d["spec"]["template"]["spec"]["containers"][0].update(image="webserver:404"))

    def sizes() -> tuple[int, int]:
        new, old = sets_of(work, work.get(path).ok())
        return sum(rs["spec"]["replicas"] for rs in old), sum(rs["spec"]["replicas"] for rs in new)

    eventually("8 old and 5 new", lambda: sizes() == (8, 5))
    eventually("8 are available", lambda: work.get(path).ok()["status"].get("availableReplicas") == 8)
    work.change(path, lambda d: d["spec"].update(replicas=30))
    eventually("20 old and 13 new", lambda: sizes() == (20, 13))


def test_scale_is_a_resource_of_its_own(work: Workloads) -> None:
    """Deployment should have a working scale subresource"""
    path = make(work, deployment("test-new-deployment", 1, SAMPLE))
    work.until(path, "complete", is_complete)
    work.scales(path, 1)
    work.until(path, "four", is_complete)


def test_status_is_read_updated_and_patched(work: Workloads) -> None:
    """should validate Deployment Status endpoints"""
    path = make(work, deployment("test-deployment", 1, SAMPLE))
    work.until(path, "complete", is_complete)
    work.holds_status(path, SAMPLE)


def test_the_lifecycle(work: Workloads) -> None:
    """should run the lifecycle of a Deployment: what others write into its status the controller corrects"""
    labels = {"test-deployment-static": "true"}
    every = "/apis/apps/v1/deployments"
    revision = work.get(every, labelSelector="test-deployment-static=true").revision
    path = make(work, deployment("test-deployment", 2, labels))
    watch = work.watch(
        work.apps("deployments"), 60, labelSelector="test-deployment-static=true", resourceVersion=revision
    )

    def upto(test: Any) -> Json:
        while True:
            event = watch.next()
            if test(event):
                return event

    def ready(count: int) -> Any:
        return lambda event: event["object"]["status"].get("readyReplicas", 0) == count

    assert upto(lambda event: True)["type"] == "ADDED"
    upto(ready(2))
    patch = {
        "metadata": {"labels": {"test-deployment": "patched"}},
        "spec": {"replicas": 1, "template": {"spec": {"containers": [{"name": "httpd", "image": NEW_WEB}]}}},
    }
    work.patch("strategic", path, patch).ok()
    upto(lambda e: ready(1)(e) and e["object"]["metadata"]["labels"].get("test-deployment") == "patched")
    work.until(path, "complete", is_complete)
    listed = work.items(every, "test-deployment-static=true")
    assert [d["spec"]["template"]["spec"]["containers"][0]["image"] for d in listed] == [NEW_WEB]
    work.change(path, lambda d: d["metadata"]["labels"].update({"test-deployment": "updated"}))
    work.change(path, lambda d: d["spec"].update(replicas=2))
    upto(lambda e: ready(2)(e) and e["object"]["metadata"]["labels"].get("test-deployment") == "updated")
    assert work.get(f"{path}/status").ok()["status"]["readyReplicas"] == 2
    patch = {"metadata": {"labels": {"test-deployment": "patched-status"}}, "status": {"readyReplicas": 1}}
    told = work.patch("merge", f"{path}/status", patch).ok()
    assert told["status"]["readyReplicas"] == 1
    assert told["metadata"]["labels"]["test-deployment"] == "updated", "labels are none of the status's"
    upto(ready(1))
    upto(ready(2))
    work.delete(work.apps("deployments"), {"gracePeriodSeconds": 1}, labelSelector="test-deployment-static=true").ok()
    upto(lambda event: event["type"] == "DELETED")
    watch.close()
    work.running(0)


def test_what_is_deleted_takes_its_sets_along_unless_they_are_orphaned(work: Workloads) -> None:
    """deployment reaping should cascade to its replica sets and pods; test Deployment ReplicaSet orphaning and adoption"""
    path = make(work, deployment("test-orphan-deployment", 1, SAMPLE))
    work.until(path, "complete", is_complete)
    work.delete(path, {"propagationPolicy": "Orphan"}).ok()
    work.gone(path)
    (left,) = work.items(work.apps("replicasets"))
    assert owners(left) == []
    path = make(work, deployment("test-adopt-deployment", 1, SAMPLE))
    work.until(path, "complete", is_complete)
    (again,) = work.items(work.apps("replicasets"))
    assert again["metadata"]["uid"] == left["metadata"]["uid"]
    assert owners(again) == [work.get(path).ok()["metadata"]["uid"]]
    work.delete(path, {"propagationPolicy": "Background"}).ok()
    eventually("all are gone", lambda: not work.items(work.apps("replicasets")))
    work.running(0)

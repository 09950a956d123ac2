"""Kubernetes' test/e2e/apps/statefulset.go. A pod is healthy or not as the test tells the node, where Kubernetes' test
breaks and mends the page that a probe asks for."""

from __future__ import annotations

import time
from typing import Any

import pytest
from living_cluster import eventually
from workload_client import NEW_WEB, WEB, Workloads, is_ready, owners, template

Json = dict[str, Any]
LABELS = {"foo": "bar", "baz": "blah"}
HASH = "controller-revision-hash"


def stateful_set(name: str = "ss2", replicas: int = 3, **spec: Any) -> Json:
    spec = {
        "serviceName": "test",
        "replicas": replicas,
        "selector": {"matchLabels": LABELS},
        "template": template(LABELS, WEB, "webserver"),
        "updateStrategy": {"type": "RollingUpdate"},
        **spec,
    }
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name, "labels": LABELS}, "spec": spec}


def make(work: Workloads, obj: Json) -> str:
    made = work.post(work.apps("statefulsets"), obj).ok()
    return work.apps(f"statefulsets/{made['metadata']['name']}")


def by_name(work: Workloads) -> dict[str, Json]:
    return {pod["metadata"]["name"]: pod for pod in work.items("pods", "foo=bar")}


def images(work: Workloads) -> list[str]:
    return [pod["spec"]["containers"][0]["image"] for _, pod in sorted(by_name(work).items())]


def with_image(image: str) -> Any:
    return lambda obj: obj["spec"]["template"]["spec"]["containers"][0].update(image=image)


def settled(work: Workloads, path: str) -> Json:
    """Seen by the controller (waitForStatus)."""
    return work.until(path, "seen", lambda s: s["status"].get("observedGeneration", 0) >= s["metadata"]["generation"])


def rolled(work: Workloads, path: str) -> Json:
    def done(s: Json) -> bool:
        status = s["status"]
        return (
            status["currentRevision"] == status["updateRevision"]
            and status.get("updatedReplicas") == s["spec"]["replicas"] == status.get("readyReplicas")
            and status["observedGeneration"] >= s["metadata"]["generation"]
        )

    return work.until(path, "rolled out", done)


def test_a_rolling_update_and_a_roll_back(work: Workloads) -> None:
    """should perform rolling updates and roll backs of template modifications: from the last to the first, and a version
    that comes back is the one that was there"""
    path = make(work, stateful_set())
    work.running(3, "foo=bar")
    first = rolled(work, path)["status"]["currentRevision"]
    assert {pod["metadata"]["labels"][HASH] for pod in by_name(work).values()} == {first}
    revision = work.get("pods").revision
    work.living.set_ready(work.namespace, "ss2-1", False)
    work.until(path, "one is not ready", lambda s: s["status"]["readyReplicas"] == 2)
    work.change(path, with_image(NEW_WEB))
    second = work.until(path, "another version", lambda s: s["status"]["updateRevision"] != first)["status"]
    assert second["currentRevision"] == first
    time.sleep(0.3)
    assert images(work) == [WEB] * 3, "nothing is rolled while one is not healthy"
    work.living.set_ready(work.namespace, "ss2-1", True)
    assert rolled(work, path)["status"]["currentRevision"] == second["updateRevision"]
    assert images(work) == [NEW_WEB] * 3
    deleted = [
        e["object"]["metadata"]["name"]
        for e in work.watch("pods", resourceVersion=revision).events()
        if e["type"] == "DELETED"
    ]
    assert deleted == ["ss2-2", "ss2-1", "ss2-0"]
    work.change(path, with_image(WEB))
    assert rolled(work, path)["status"]["currentRevision"] == first
    assert images(work) == [WEB] * 3
    versions = work.items(work.apps("controllerrevisions"))
    assert {r["metadata"]["name"]: r["revision"] for r in versions} == {first: 3, second["updateRevision"]: 2}


def test_canaries_and_phased_updates(work: Workloads) -> None:
    """should perform canary updates and phased rolling updates of template modifications"""
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 3}}
    path = make(work, stateful_set(updateStrategy=strategy))
    work.running(3, "foo=bar")
    first = rolled(work, path)["status"]["currentRevision"]
    work.change(path, with_image(NEW_WEB))
    second = work.until(path, "another version", lambda s: s["status"]["updateRevision"] != first)["status"][
        "updateRevision"
    ]
    time.sleep(0.3)
    assert images(work) == [WEB] * 3, "none is beyond the partition"
    work.patch("merge", path, {"spec": {"updateStrategy": {"rollingUpdate": {"partition": 2}}}}).ok()
    eventually("the canary", lambda: images(work) == [WEB, WEB, NEW_WEB])
    work.running(3, "foo=bar")
    shown = settled(work, path)["status"]
    assert (shown["currentRevision"], shown["updateRevision"]) == (first, second)
    work.until(path, "counted", lambda s: (s["status"]["currentReplicas"], s["status"]["updatedReplicas"]) == (2, 1))
    for name in ("ss2-0", "ss2-2"):
        work.delete(f"pods/{name}").ok()
    work.running(3, "foo=bar")
    pods = by_name(work)
    assert [pods[f"ss2-{i}"]["metadata"]["labels"][HASH] for i in range(3)] == [first, first, second]
    assert images(work) == [WEB, WEB, NEW_WEB]
    for partition, wanted in ((1, [WEB, NEW_WEB, NEW_WEB]), (0, [NEW_WEB] * 3)):
        work.patch("merge", path, {"spec": {"updateStrategy": {"rollingUpdate": {"partition": partition}}}}).ok()
        eventually(f"partition {partition}", lambda wanted=wanted: images(work) == wanted)  # type: ignore[misc]  # of a default in a lambda
    assert rolled(work, path)["status"]["currentRevision"] == second


def test_on_delete_is_by_hand(work: Workloads) -> None:
    """should implement legacy replacement when the update strategy is OnDelete"""
    path = make(work, stateful_set(updateStrategy={"type": "OnDelete"}))
    work.running(3, "foo=bar")
    first = settled(work, path)["status"]["updateRevision"]
    work.change(path, with_image(NEW_WEB))
    work.until(path, "another version", lambda s: s["status"]["updateRevision"] != first)
    time.sleep(0.2)
    assert images(work) == [WEB] * 3
    for name in ("ss2-0", "ss2-1", "ss2-2"):
        work.delete(f"pods/{name}").ok()
    eventually("replaced", lambda: images(work) == [NEW_WEB] * 3)


def test_scaling_goes_in_order_and_halts_for_who_is_not_healthy(work: Workloads) -> None:
    """Scaling should happen in predictable order and halt if any stateful pod is unhealthy"""
    revision = work.get("pods").revision
    path = make(work, stateful_set("ss", 1))
    work.running(1, "foo=bar")
    work.living.set_ready(work.namespace, "ss-0", False)
    work.until(path, "not ready", lambda s: s["status"].get("readyReplicas", 0) == 0)
    work.change(path, lambda s: s["spec"].update(replicas=3))
    time.sleep(0.5)
    assert [*by_name(work)] == ["ss-0"]
    work.living.set_ready(work.namespace, "ss-0", True)
    work.running(3, "foo=bar")
    added = [
        e["object"]["metadata"]["name"]
        for e in work.watch("pods", resourceVersion=revision).events()
        if e["type"] == "ADDED"
    ]
    assert added == ["ss-0", "ss-1", "ss-2"]
    revision = work.get("pods").revision
    for name in by_name(work):
        work.living.set_ready(work.namespace, name, False)
    work.until(path, "none is ready", lambda s: s["status"].get("readyReplicas", 0) == 0)
    work.change(path, lambda s: s["spec"].update(replicas=0))
    time.sleep(0.5)
    assert len(by_name(work)) == 3
    for name in by_name(work):
        work.living.set_ready(work.namespace, name, True)
    work.running(0, "foo=bar")
    gone = [
        e["object"]["metadata"]["name"]
        for e in work.watch("pods", resourceVersion=revision).events()
        if e["type"] == "DELETED"
    ]
    assert gone == ["ss-2", "ss-1", "ss-0"]


def test_parallel_sets_wait_for_nobody(work: Workloads) -> None:
    """Burst scaling should run to completion even with unhealthy pods"""
    path = make(work, stateful_set("ss", 1, podManagementPolicy="Parallel"))
    work.running(1, "foo=bar")
    work.living.set_ready(work.namespace, "ss-0", False)
    work.until(path, "not ready", lambda s: s["status"].get("readyReplicas", 0) == 0)
    work.change(path, lambda s: s["spec"].update(replicas=3))
    work.until(path, "three", lambda s: s["status"]["replicas"] == 3 and s["status"]["readyReplicas"] == 2)
    work.change(path, lambda s: s["spec"].update(replicas=0))
    work.running(0, "foo=bar")
    work.until(path, "none", lambda s: s["status"]["replicas"] == 0)


def test_a_pod_that_has_failed_is_made_anew(work: Workloads) -> None:
    """Should recreate evicted statefulset"""
    make(work, stateful_set("ss", 1))
    (before,) = work.running(1, "foo=bar")
    work.living.end_pod(work.namespace, "ss-0", 1)
    eventually("made anew", lambda: by_name(work).get("ss-0", before)["metadata"]["uid"] != before["metadata"]["uid"])
    work.living.kubelets.ends.clear()


def test_a_pod_has_a_name_a_host_name_and_claims(work: Workloads) -> None:
    """should provide basic identity (without a volume: none is bound yet)"""
    claim = {
        "metadata": {"name": "datadir"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1"}}},
    }
    make(
        work, stateful_set("ss", 2, volumeClaimTemplates=[claim], ordinals={"start": 5}, podManagementPolicy="Parallel")
    )
    pods = eventually("two", lambda: by_name(work) if len(by_name(work)) == 2 else None)
    assert sorted(pods) == ["ss-5", "ss-6"]
    pod = pods["ss-6"]
    assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == ("ss-6", "test")
    assert pod["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] == "ss-6"
    assert pod["metadata"]["labels"]["apps.kubernetes.io/pod-index"] == "6"
    assert pod["spec"]["volumes"][0] == {"name": "datadir", "persistentVolumeClaim": {"claimName": "datadir-ss-6"}}
    assert work.get("persistentvolumeclaims").names == ["datadir-ss-5", "datadir-ss-6"]


def keeps(work: Workloads, when_deleted: str = "Retain", when_scaled: str = "Retain", replicas: int = 3) -> Json:
    claim = {
        "metadata": {"name": "datadir"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1"}}},
    }
    policy = {"whenDeleted": when_deleted, "whenScaled": when_scaled}
    rules = {"volumeClaimTemplates": [claim], "persistentVolumeClaimRetentionPolicy": policy}
    return stateful_set("ss", replicas, **rules)


def claims(work: Workloads) -> dict[str, list[Json]]:
    """What owns each claim, by the claim's ordinal."""
    found = work.items("persistentvolumeclaims")
    return {c["metadata"]["name"].removeprefix("datadir-ss-"): c["metadata"].get("ownerReferences", []) for c in found}


def left(work: Workloads, *ordinals: str) -> dict[str, list[Json]]:
    return eventually(f"claims {ordinals}", lambda: found if [*(found := claims(work))] == [*ordinals] else None) or {}


def scaled(work: Workloads, path: str, replicas: int) -> None:
    work.patch("merge", path, {"spec": {"replicas": replicas}}).ok()
    work.running(replicas, "foo=bar")


def test_claims_go_with_their_set(work: Workloads) -> None:
    """should delete PVCs with a WhenDeleted policy; after adopting pod (WhenDeleted)"""
    path = make(work, keeps(work, when_deleted="Delete"))
    work.running(3, "foo=bar")
    uid = work.get(path).ok()["metadata"]["uid"]
    eventually("owned", lambda: [[ref["uid"] for ref in refs] for refs in claims(work).values()] == [[uid]] * 3)
    assert claims(work)["1"][0]["controller"] is True
    work.patch("merge", "pods/ss-2", {"metadata": {"ownerReferences": None}}).ok()
    work.until("pods/ss-2", "adopted again", lambda pod: owners(pod) == [uid])
    scaled(work, path, 1)
    assert [*claims(work)] == ["0", "1", "2"]
    work.delete(path).ok()
    eventually("no claims", lambda: not claims(work))


def test_claims_go_with_the_pods_that_are_too_many(work: Workloads) -> None:
    """should delete PVCs with a OnScaledown policy; after adopting pod (WhenScaled)"""
    path = make(work, keeps(work, when_scaled="Delete"))
    uid = work.get(path).ok()["metadata"]["uid"]
    work.running(3, "foo=bar")
    assert claims(work) == {"0": [], "1": [], "2": []}
    work.patch("merge", "pods/ss-2", {"metadata": {"ownerReferences": None}}).ok()
    work.until("pods/ss-2", "adopted again", lambda pod: owners(pod) == [uid])
    scaled(work, path, 1)
    left(work, "0")
    work.delete(path).ok()
    work.running(0)
    assert claims(work) == {"0": []}


def test_a_claim_of_another_controller_stays(work: Workloads) -> None:
    """should not delete PVC with OnScaledown policy if another controller owns the PVC"""
    path = make(work, keeps(work))
    work.running(3, "foo=bar")
    other = work.post("configmaps", {"metadata": {"name": "dummy-controller"}}).ok()["metadata"]["uid"]
    ref = {"apiVersion": "v1", "kind": "ConfigMap", "name": "dummy-controller", "uid": other, "controller": True}
    claim = "persistentvolumeclaims/datadir-ss-1"
    work.patch("merge", claim, {"metadata": {"ownerReferences": [ref]}}).ok()
    work.patch("merge", path, {"spec": {"persistentVolumeClaimRetentionPolicy": {"whenScaled": "Delete"}}}).ok()
    scaled(work, path, 0)
    assert left(work, "1") == {"1": [ref]}
    work.patch("merge", claim, {"metadata": {"ownerReferences": None}}).ok()
    scaled(work, path, 2)
    assert [*claims(work)] == ["0", "1"]
    scaled(work, path, 1)
    left(work, "0")


def test_foreign_and_stale_owners_of_claims_are_heeded(work: Workloads) -> None:
    """should not delete PVCs when there is another controller"""
    path = make(work, keeps(work, replicas=4))
    work.running(4, "foo=bar")
    uid = work.get(path).ok()["metadata"]["uid"]
    other = work.post("configmaps", {"metadata": {"name": "random-owner"}}).ok()["metadata"]["uid"]
    foreign = {"apiVersion": "v1", "kind": "ConfigMap", "name": "random-owner", "uid": other}
    own = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "ss", "uid": uid}
    own |= {"controller": True, "blockOwnerDeletion": True}
    stale = {**own, "name": "unknown", "uid": "9d86d6ae-4e06-4ff1-bc55-f77f52e272e9"}
    for ordinal, metadata in (
        (1, {"ownerReferences": [foreign]}),
        (3, {"ownerReferences": [stale], "finalizers": ["keep-with/stale-ref"]}),
    ):
        work.patch("merge", f"persistentvolumeclaims/datadir-ss-{ordinal}", {"metadata": metadata}).ok()
    policy = {"whenDeleted": "Delete", "whenScaled": "Retain"}
    work.patch("merge", path, {"spec": {"persistentVolumeClaimRetentionPolicy": policy}}).ok()
    wanted = {"0": [own], "1": [foreign, own], "2": [own], "3": [stale]}
    eventually("owned", lambda: claims(work) == wanted)
    loose = {"metadata": {"ownerReferences": [{**own, "controller": False}]}}
    work.patch("merge", "persistentvolumeclaims/datadir-ss-0", loose).ok()
    eventually("controlled again", lambda: claims(work) == wanted)
    work.delete(path).ok()
    left(work, "1", "3")
    work.patch("merge", "persistentvolumeclaims/datadir-ss-3", {"metadata": {"finalizers": None}}).ok()


def test_a_claim_that_is_missing_is_made_again_for_a_pod_that_waits(work: Workloads) -> None:
    """PVC should be recreated when pod is pending due to missing PVC"""
    obj = keeps(work, replicas=1)
    obj["spec"]["template"]["spec"]["nodeSelector"] = {"kubernetes.io/hostname": "nowhere"}
    make(work, obj)
    (before,) = eventually("the claim", lambda: work.items("persistentvolumeclaims"))
    eventually("the pod", lambda: by_name(work))
    work.delete("persistentvolumeclaims/datadir-ss-0").ok()

    def again() -> bool:
        found = work.items("persistentvolumeclaims")
        return bool(found) and found[0]["metadata"]["uid"] != before["metadata"]["uid"]

    eventually("another claim", again)


def test_adopts_orphans_and_lets_go_of_strays(work: Workloads) -> None:
    """should adopt matching orphans and release non-matching pods"""
    made = work.post(work.apps("statefulsets"), stateful_set("ss", 1)).ok()
    uid = made["metadata"]["uid"]
    work.running(1, "foo=bar")
    work.change("pods/ss-0", lambda pod: pod["metadata"].pop("ownerReferences"))
    again = work.until("pods/ss-0", "adopted", lambda pod: owners(pod) == [uid])
    labels = again["metadata"]["labels"]
    work.change("pods/ss-0", lambda pod: pod["metadata"].pop("labels"))
    work.until("pods/ss-0", "released", lambda pod: owners(pod) == [])
    work.change("pods/ss-0", lambda pod: pod["metadata"].update(labels=labels))
    work.until("pods/ss-0", "adopted", lambda pod: owners(pod) == [uid])


@pytest.mark.parametrize(
    ("before", "after", "replicas", "names"),
    [
        (None, 2, 3, ["ss-2", "ss-3", "ss-4"]),
        (2, 4, 2, ["ss-4", "ss-5"]),
        (3, 2, 2, ["ss-2", "ss-3"]),
        (3, None, 2, ["ss-0", "ss-1"]),
    ],
    ids=["set", "increased", "decreased", "removed"],
)
def test_ordinals_start_elsewhere(
    work: Workloads, before: int | None, after: int | None, replicas: int, names: list[str]
) -> None:
    """Setting, Increasing, Decreasing, Removing .start.ordinal"""
    obj = stateful_set("ss", 2)
    if before is not None:
        obj["spec"]["ordinals"] = {"start": before}
    path = make(work, obj)
    work.running(2, "foo=bar")
    assert [*by_name(work)] == [f"ss-{(before or 0) + number}" for number in range(2)]
    ordinals = None if after is None else {"start": after}
    work.patch("merge", path, {"spec": {"ordinals": ordinals, "replicas": replicas}}).ok()
    eventually(f"pods {names}", lambda: [*by_name(work)] == names)
    work.running(replicas, "foo=bar")
    work.until(path, "told", lambda s: s["status"].get("readyReplicas") == s["status"]["replicas"] == replicas)


def test_scale_is_a_resource_of_its_own(work: Workloads) -> None:
    """should have a working scale subresource"""
    path = make(work, stateful_set("ss", 1))
    work.running(1, "foo=bar")
    work.until(path, "one", lambda s: s["status"]["replicas"] == 1)
    work.scales(path, 1)
    work.running(4, "foo=bar")


def test_a_collection_is_listed_patched_and_deleted(work: Workloads) -> None:
    """should list, patch and delete a collection of StatefulSets"""
    path = make(work, stateful_set("test-ss", 1))
    work.running(1, "foo=bar")
    labels = {"test-ss": "patched"}
    spec = {"replicas": 2, "template": {"spec": {"containers": [{"name": "webserver", "image": NEW_WEB}]}}}
    patched = work.patch("strategic", path, {"metadata": {"labels": labels}, "spec": spec}).ok()
    assert (patched["metadata"]["labels"]["test-ss"], patched["spec"]["replicas"]) == ("patched", 2)
    rolled(work, path)
    assert images(work) == [NEW_WEB] * 2
    assert [item["metadata"]["name"] for item in work.items(work.apps("statefulsets"), "test-ss=patched")] == [
        "test-ss"
    ]
    work.delete(work.apps("statefulsets"), {"gracePeriodSeconds": 1}, labelSelector="test-ss=patched").ok()
    assert work.items(work.apps("statefulsets")) == []
    work.running(0, "foo=bar")
    eventually("versions go too", lambda: not work.items(work.apps("controllerrevisions")))


def test_status_is_read_updated_and_patched(work: Workloads) -> None:
    """should validate Statefulset Status endpoints"""
    path = make(work, stateful_set("ss", 1))
    work.running(1, "foo=bar")
    rolled(work, path)
    work.holds_status(path, LABELS)


def test_availability_waits_for_min_ready_seconds(work: Workloads) -> None:
    """MinReadySeconds should be honored when enabled; AvailableReplicas should get updated accordingly"""
    path = make(work, stateful_set("ss", 2, minReadySeconds=1, podManagementPolicy="Parallel"))
    pods = work.running(2, "foo=bar")
    assert all(map(is_ready, pods))
    work.until(path, "available", lambda s: s["status"]["availableReplicas"] == 2)


@pytest.mark.parametrize("change", [{"serviceName": "other"}, {"selector": {"matchLabels": {"a": "b"}}}])
def test_what_a_set_is_does_not_change(work: Workloads, change: Json) -> None:
    path = make(work, stateful_set("ss", 0))
    work.patch("merge", path, {"spec": change}).refused(422, "Invalid")

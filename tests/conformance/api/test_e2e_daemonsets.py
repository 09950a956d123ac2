"""Kubernetes' test/e2e/apps/daemon_set.go and controller_revision.go, on three nodes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from living_cluster import NODE_NAMES, eventually
from workload_client import NEW_WEB, WEB, Workloads, is_ready, template

Json = dict[str, Any]
LABELS = {"daemonset-name": "daemon-set"}
SELECTOR = "daemonset-name=daemon-set"
HASH = "controller-revision-hash"


def daemon_set(image: str = WEB, **pod: Any) -> Json:
    spec = {"selector": {"matchLabels": LABELS}, "template": template(LABELS, image, "app", **pod)}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "daemon-set", "labels": LABELS},
        "spec": spec,
    }


def make(work: Workloads, obj: Json | None = None) -> str:
    work.post(work.apps("daemonsets"), obj or daemon_set()).ok()
    return work.apps("daemonsets/daemon-set")


def runs_on(work: Workloads, *nodes: str) -> list[Json]:
    """One ready pod on each of `nodes`, and none elsewhere."""

    def probe() -> list[Json] | None:
        pods = work.items("pods", SELECTOR)
        where = sorted(pod["spec"].get("nodeName", "") for pod in pods)
        return pods or [{}] if where == sorted(nodes) and all(map(is_ready, pods)) else None

    return eventually(f"pods on {nodes}", probe)


def image_is(image: str) -> Any:
    return lambda obj: obj["spec"]["template"]["spec"]["containers"][0].update(image=image)


@pytest.fixture
def colours(work: Workloads) -> Iterator[Any]:
    def paint(node: str, colour: str | None) -> None:
        work.patch("merge", f"/api/v1/nodes/{node}", {"metadata": {"labels": {"color": colour}}}).ok()

    yield paint
    for node in NODE_NAMES:
        paint(node, None)


def test_a_simple_daemon(work: Workloads) -> None:
    """should run and stop simple daemon: on every node, made anew where it was stopped, gone with the set"""
    path = make(work)
    pods = runs_on(work, *NODE_NAMES)
    work.until(path, "available", lambda d: d["status"].get("numberAvailable") == 3)
    status = work.get(path).ok()["status"]
    counts = ("desiredNumberScheduled", "currentNumberScheduled", "numberReady", "updatedNumberScheduled")
    assert [status[name] for name in counts] == [3, 3, 3, 3]
    assert (status["numberMisscheduled"], status.get("numberUnavailable", 0)) == (0, 0)
    work.delete(f"pods/{pods[0]['metadata']['name']}").ok()
    again = runs_on(work, *NODE_NAMES)
    assert {p["metadata"]["uid"] for p in again} != {p["metadata"]["uid"] for p in pods}
    work.delete(path, {"propagationPolicy": "Background"}).ok()
    runs_on(work)


def test_a_daemon_for_some_nodes(work: Workloads, colours: Any) -> None:
    """should run and stop complex daemon: as nodes get and lose the label that it asks for"""
    path = make(work, daemon_set(nodeSelector={"color": "blue"}))
    work.until(path, "seen", lambda d: d["status"].get("observedGeneration") == 1)
    runs_on(work)
    colours("worker-2", "blue")
    runs_on(work, "worker-2")
    work.until(path, "one", lambda d: d["status"]["currentNumberScheduled"] == 1)
    colours("worker-2", "green")
    runs_on(work)
    patch = {
        "spec": {
            "template": {"spec": {"nodeSelector": {"color": "green"}}},
            "updateStrategy": {"type": "RollingUpdate"},
        }
    }
    work.patch("strategic", path, patch).ok()
    runs_on(work, "worker-2")


def test_a_daemon_with_node_affinity(work: Workloads, colours: Any) -> None:
    """should run and stop complex daemon with node affinity"""
    terms = [{"matchExpressions": [{"key": "color", "operator": "In", "values": ["blue"]}]}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    make(work, daemon_set(affinity={"nodeAffinity": required}))
    runs_on(work)
    colours("worker-1", "blue")
    runs_on(work, "worker-1")
    colours("worker-1", None)
    runs_on(work)


def test_taints_keep_it_off_unless_it_puts_up_with_them(work: Workloads) -> None:
    """should not (schedule on) nodes that are tainted; cordoned ones run it"""
    node = "/api/v1/nodes/worker-3"
    make(work)
    runs_on(work, *NODE_NAMES)
    work.patch("merge", node, {"spec": {"taints": [{"key": "dedicated", "value": "x", "effect": "NoExecute"}]}}).ok()
    try:
        runs_on(work, "worker-1", "worker-2")
        work.patch("merge", node, {"spec": {"taints": None, "unschedulable": True}}).ok()
        runs_on(work, *NODE_NAMES)
    finally:
        work.patch("merge", node, {"spec": {"taints": None, "unschedulable": None}}).ok()


def test_a_pod_that_waits_for_a_node_that_is_gone_goes_too(work: Workloads) -> None:
    """getUnscheduledPodsWithoutNode (pkg/controller/daemon): PodGC takes only what had come to a node"""
    work.living.add_node("worker-4", full="yes")
    node = "/api/v1/nodes/worker-4"
    none = {"cpu": "0", "memory": "0", "pods": "0"}
    work.patch("merge", f"{node}/status", {"status": {"allocatable": none}}).ok()
    make(work, daemon_set(nodeSelector={"full": "yes"}))
    (waiting,) = eventually("the pod", lambda: work.items("pods", SELECTOR))
    assert "nodeName" not in waiting["spec"]
    work.delete(node).ok()
    runs_on(work)


def test_a_failed_pod_is_replaced(work: Workloads) -> None:
    """should retry creating failed daemon pods"""
    make(work)
    pods = runs_on(work, *NODE_NAMES)
    failed = pods[0]["metadata"]
    work.patch("merge", f"pods/{failed['name']}/status", {"status": {"phase": "Failed"}}).ok()

    def replaced() -> bool:
        return failed["uid"] not in {pod["metadata"]["uid"] for pod in work.items("pods", SELECTOR)}

    eventually("the failed one is gone", replaced)
    runs_on(work, *NODE_NAMES)


def test_on_delete_is_by_hand(work: Workloads) -> None:
    """should not update pod when spec was updated and update strategy is OnDelete"""
    obj = daemon_set()
    obj["spec"]["updateStrategy"] = {"type": "OnDelete"}
    path = make(work, obj)
    before = {pod["metadata"]["uid"] for pod in runs_on(work, *NODE_NAMES)}
    work.change(path, image_is(NEW_WEB))
    eventually("two versions", lambda: len(work.items(work.apps("controllerrevisions"), SELECTOR)) == 2)
    assert {pod["metadata"]["uid"] for pod in runs_on(work, *NODE_NAMES)} == before


def test_a_rolling_update(work: Workloads) -> None:
    """should update pod when spec was updated and update strategy is RollingUpdate: never more than one is missing"""
    path = make(work)
    runs_on(work, *NODE_NAMES)
    (first,) = work.items(work.apps("controllerrevisions"), SELECTOR)
    assert (first["revision"], first["metadata"]["labels"][HASH]) == (
        1,
        work.items("pods", SELECTOR)[0]["metadata"]["labels"][HASH],
    )
    revision = work.get("pods").revision
    work.change(path, image_is(NEW_WEB))
    work.until(
        path, "updated", lambda d: d["status"]["updatedNumberScheduled"] == 3 and d["status"]["numberAvailable"] == 3
    )
    pods = runs_on(work, *NODE_NAMES)
    assert {pod["spec"]["containers"][0]["image"] for pod in pods} == {NEW_WEB}
    versions = work.items(work.apps("controllerrevisions"), SELECTOR)
    (second,) = [version for version in versions if version["revision"] == 2]
    assert {pod["metadata"]["labels"][HASH] for pod in pods} == {second["metadata"]["labels"][HASH]}
    ready: dict[str, bool] = {}
    for event in work.watch("pods", resourceVersion=revision).events():
        pod = event["object"]
        alive = event["type"] != "DELETED" and "deletionTimestamp" not in pod["metadata"]
        ready[pod["metadata"]["name"]] = alive and is_ready(pod)
        known = [name for name, is_there in ready.items() if not is_there]
        assert len(known) <= 3
    assert sum(ready.values()) == 3


def test_a_roll_back_restarts_nothing_that_need_not(work: Workloads) -> None:
    """should rollback without unnecessary restarts"""
    path = make(work)
    before = {pod["spec"]["nodeName"]: pod["metadata"]["uid"] for pod in runs_on(work, *NODE_NAMES)}
    work.change(path, image_is("foo:404"))
    eventually(
        "one is tried",
        lambda: any(p["spec"]["containers"][0]["image"] == "foo:404" for p in work.items("pods", SELECTOR)),
    )
    (tried,) = [p for p in work.items("pods", SELECTOR) if p["spec"]["containers"][0]["image"] == "foo:404"]
    node = (
        tried["spec"].get("nodeName")
        or work.until(f"pods/{tried['metadata']['name']}", "bound", lambda p: p["spec"].get("nodeName"))["spec"][
            "nodeName"
        ]
    )
    work.change(path, image_is(WEB))
    after = {pod["spec"]["nodeName"]: pod["metadata"]["uid"] for pod in runs_on(work, *NODE_NAMES)}
    assert {name for name in after if after[name] != before[name]} == {node}
    versions = {v["revision"] for v in work.items(work.apps("controllerrevisions"), SELECTOR)}
    assert versions == {2, 3}, "the version that comes back gets the highest number"


def test_a_surge_has_the_new_one_before_the_old_one_goes(work: Workloads) -> None:
    """should surge pods onto nodes when spec was updated and update strategy is RollingUpdate"""
    obj = daemon_set()
    obj["spec"]["updateStrategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    path = make(work, obj)
    runs_on(work, *NODE_NAMES)
    work.until(path, "available", lambda d: d["status"].get("numberAvailable") == 3)
    revision = work.get(path).ok()["metadata"]["resourceVersion"]
    work.change(path, image_is(NEW_WEB))
    work.until(
        path, "updated", lambda d: d["status"]["updatedNumberScheduled"] == 3 and len(work.items("pods", SELECTOR)) == 3
    )
    events = work.watch(work.apps("daemonsets"), resourceVersion=revision).events()
    assert {e["object"]["status"].get("numberUnavailable", 0) for e in events} == {0}


def test_a_collection_is_listed_and_deleted(work: Workloads) -> None:
    """should list and delete a collection of DaemonSets"""
    make(work)
    runs_on(work, *NODE_NAMES)
    assert [d["metadata"]["name"] for d in work.items(work.apps("daemonsets"), SELECTOR)] == ["daemon-set"]
    work.delete(work.apps("daemonsets"), {"gracePeriodSeconds": 1}, labelSelector=SELECTOR).ok()
    assert work.items(work.apps("daemonsets"), SELECTOR) == []
    runs_on(work)


def test_status_is_read_updated_and_patched(work: Workloads) -> None:
    """should verify changes to a daemon set status"""
    path = make(work)
    runs_on(work, *NODE_NAMES)
    work.until(path, "available", lambda d: d["status"].get("numberAvailable") == 3)
    work.holds_status(path, LABELS)


def test_the_lifecycle_of_a_controller_revision(work: Workloads) -> None:
    """ControllerRevision should manage the lifecycle of a ControllerRevision"""
    path, revisions = make(work), work.apps("controllerrevisions")
    runs_on(work, *NODE_NAMES)

    def count(wanted: int, selector: str = SELECTOR) -> list[Json]:
        return eventually(
            f"{wanted} versions", lambda: found if len(found := work.items(revisions, selector)) == wanted else None
        )

    (first,) = count(1)
    assert len(work.items("/apis/apps/v1/controllerrevisions", SELECTOR)) >= 1
    name = first["metadata"]["name"]
    patched = work.patch("strategic", f"{revisions}/{name}", {"metadata": {"labels": {name: "patched"}}}).ok()
    assert patched["metadata"]["labels"][name] == "patched"
    metadata = {"name": "e2e-other", "labels": first["metadata"]["labels"]}
    work.post(revisions, {"metadata": metadata, "data": first["data"], "revision": first["revision"] + 1}).ok()
    count(2)
    work.delete(f"{revisions}/{name}").ok()
    (other,) = count(1)
    assert other["metadata"]["name"] == "e2e-other"
    work.change(f"{revisions}/e2e-other", lambda r: r["metadata"]["labels"].update({"e2e-other": "updated"}))
    work.patch("strategic", path, {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 1}}}}).ok()
    count(2)
    work.delete(revisions, labelSelector="e2e-other=updated").ok()
    (last,) = count(1)
    assert last["revision"] == 3
    work.patch("merge", f"{revisions}/{last['metadata']['name']}", {"data": {"a": 1}}).refused(422, "Invalid")

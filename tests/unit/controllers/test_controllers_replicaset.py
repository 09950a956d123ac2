from __future__ import annotations

from typing import Any

from corerig import Rig, finish, node, pod, start

from actors.api.key import Key
from actors.controllers.core import ControllersCore
from actors.controllers.replicaset import reconcile

SETS = "replicasets.apps"


def replica_set(replicas: int = 3, **labels: str) -> dict[str, Any]:
    labels = labels or {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "host"}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web"}, "spec": spec}


def names(rig: Rig) -> list[str]:
    return [p["metadata"]["name"] for p in rig.list("pods") if "deletionTimestamp" not in p["metadata"]]


def test_keeps_its_number_of_pods(rig: Rig) -> None:
    rig.create(replica_set(3))
    rig.settle()
    assert len(names(rig)) == 3
    rig.delete(Key("pods", "default", names(rig)[0]))
    rig.settle()
    assert len(names(rig)) == 3
    rig.patch(Key(SETS, "default", "web"), {"spec": {"replicas": 1}})
    rig.settle()
    assert len(names(rig)) == 1


def test_status_counts_ready_and_available_after_min_ready_seconds(rig: Rig) -> None:
    rig.create(node("n"))
    rs = replica_set(2)
    rs["spec"]["minReadySeconds"] = 10
    rig.create(rs)
    rig.settle()
    for name in names(rig):
        start(rig, name)
        rig.patch(
            Key("pods", "default", name),
            {
                "status": {
                    "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-09-21T14:13:20Z"}]
                }
            },
            "status",
        )
    rig.settle()
    status = rig.get(SETS, "web")["status"]
    assert (status["readyReplicas"], status.get("availableReplicas", 0)) == (2, 0)
    rig.advance(11_000)
    assert rig.get(SETS, "web")["status"]["availableReplicas"] == 2


def test_a_finished_pod_is_replaced(rig: Rig) -> None:
    rig.create(node("n"))
    rig.create(replica_set(1))
    rig.settle()
    (first,) = names(rig)
    finish(rig, first, "Failed")
    rig.settle()
    assert len(names(rig)) == 2


def test_adopts_a_matching_orphan_and_lets_go_of_a_stray(rig: Rig) -> None:
    orphan = pod("loner")
    orphan["metadata"]["labels"] = {"app": "web"}
    rig.create(orphan)
    rig.create(replica_set(2))
    rig.settle()
    assert "loner" in names(rig) and len(names(rig)) == 2
    assert rig.get("pods", "loner")["metadata"]["ownerReferences"][0]["name"] == "web"
    rig.patch(Key("pods", "default", "loner"), {"metadata": {"labels": {"app": "other"}}})
    rig.settle()
    assert "ownerReferences" not in rig.get("pods", "loner")["metadata"]
    assert len(names(rig)) == 3


def test_a_repeat_after_a_crash_before_the_reply_makes_no_pod_twice() -> None:
    before = ControllersCore([reconcile])
    rig = Rig(before)
    rig.create(replica_set(5))
    rig.relist(before)
    stale = rig.engine.list(before.selection())
    rig.commit(*before.decide(rig.now))
    after = ControllersCore([reconcile])
    after.relist(stale.items, stale.revision, rig.now)
    rig.since[id(after)] = stale.revision
    rig.cores = [after]
    replies = rig.commit(*after.decide(rig.now))
    assert {(reply.error or {}).get("reason") for reply in replies[:5]} == {"AlreadyExists"}
    assert len(names(rig)) == 5

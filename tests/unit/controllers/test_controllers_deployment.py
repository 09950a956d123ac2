from __future__ import annotations

from typing import Any

import pytest
from corerig import Rig, node, start

from actors.api.key import Key

DEPLOYMENTS, SETS = "deployments.apps", "replicasets.apps"
REVISION = "deployment.kubernetes.io/revision"
WEB = Key(DEPLOYMENTS, "default", "web")


def deployment(replicas: int = 4, image: str = "app:1", **spec: Any) -> dict[str, Any]:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": image}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template, **spec},
    }


@pytest.fixture
def world(rig: Rig) -> Rig:
    rig.create(node("n", cpu=64, pods=500))
    return rig


def set_image(rig: Rig, image: str) -> None:
    rig.patch(WEB, {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": image}]}}}})


def sets(rig: Rig) -> dict[str, int]:
    """Replicas by image."""
    return {s["spec"]["template"]["spec"]["containers"][0]["image"]: s["spec"]["replicas"] for s in rig.list(SETS)}


def live(rig: Rig, image: str = "") -> list[dict[str, Any]]:
    pods = [p for p in rig.list("pods") if "deletionTimestamp" not in p["metadata"]]
    return [p for p in pods if not image or p["spec"]["containers"][0]["image"] == image]


def ready(rig: Rig) -> int:
    return sum(p["status"]["phase"] == "Running" for p in live(rig))


def node_acts(rig: Rig, starts: int = 99) -> None:
    """The nodelet: ends what is terminating, starts up to `starts` of the others."""
    for pod in rig.list("pods"):
        if "deletionTimestamp" in pod["metadata"]:
            rig.delete(Key("pods", "default", pod["metadata"]["name"]), grace_period_seconds=0)
    for pod in [p for p in live(rig) if p["status"]["phase"] == "Pending"][:starts]:
        start(rig, pod["metadata"]["name"])


def roll_out(rig: Rig) -> None:
    for _ in range(30):
        rig.settle()
        node_acts(rig)
    rig.settle()


def progressing(rig: Rig) -> tuple[str, str]:
    rows = rig.get(DEPLOYMENTS, "web")["status"]["conditions"]
    return next((c["status"], c["reason"]) for c in rows if c["type"] == "Progressing")


def test_a_deployment_makes_a_replica_set_and_completes(world: Rig) -> None:
    world.create(deployment())
    roll_out(world)
    (rs,) = world.list(SETS)
    hash_ = rs["metadata"]["labels"]["pod-template-hash"]
    assert rs["metadata"]["name"] == f"web-{hash_}"
    assert rs["spec"]["selector"]["matchLabels"]["pod-template-hash"] == hash_
    assert live(world)[0]["metadata"]["labels"]["pod-template-hash"] == hash_
    obj = world.get(DEPLOYMENTS, "web")
    assert obj["metadata"]["annotations"][REVISION] == "1"
    status = obj["status"]
    assert status["availableReplicas"] == status["updatedReplicas"] == status["readyReplicas"] == 4
    assert status["unavailableReplicas"] == 0 and status["observedGeneration"] == obj["metadata"]["generation"]
    assert progressing(world) == ("True", "NewReplicaSetAvailable")


@pytest.mark.parametrize(("surge", "unavailable"), [(1, 0), (0, 1), ("25%", "25%"), ("50%", 0), (2, 2), (0, 0)])
def test_a_rolling_update_keeps_its_bounds_at_every_step(world: Rig, surge: Any, unavailable: Any) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    if (surge, unavailable) == (0, 0):
        strategy["rollingUpdate"]["maxUnavailable"] = "1%"  # rounds down to none
    most = {1: 1, "25%": 1, "50%": 2, 2: 2, 0: 0}[surge]
    least = 4 - {0: 0, 1: 1, "25%": 1, 2: 2}[unavailable] - ((surge, unavailable) == (0, 0))
    world.create(deployment(strategy=strategy))
    roll_out(world)
    set_image(world, "app:2")
    for _ in range(60):
        world.settle()
        assert sum(sets(world).values()) <= 4 + most
        assert ready(world) >= least
        node_acts(world, starts=1)
    assert sets(world) == {"app:1": 0, "app:2": 4}
    assert progressing(world) == ("True", "NewReplicaSetAvailable")


def test_recreate_has_no_old_pod_beside_a_new_one(world: Rig) -> None:
    world.create(deployment(2, strategy={"type": "Recreate"}))
    roll_out(world)
    set_image(world, "app:2")
    world.settle()
    assert live(world) == [] and world.list("pods")
    roll_out(world)
    assert len(live(world, "app:2")) == 2


def test_going_back_uses_the_old_replica_set_with_a_new_revision(world: Rig) -> None:
    world.create(deployment(1))
    roll_out(world)
    set_image(world, "app:2")
    roll_out(world)
    set_image(world, "app:1")
    roll_out(world)
    revisions = {
        s["spec"]["template"]["spec"]["containers"][0]["image"]: s["metadata"]["annotations"][REVISION]
        for s in world.list(SETS)
    }
    assert revisions == {"app:1": "3", "app:2": "2"}
    assert world.get(DEPLOYMENTS, "web")["metadata"]["annotations"][REVISION] == "3"
    assert sets(world) == {"app:1": 1, "app:2": 0}


def test_history_limit(world: Rig) -> None:
    world.create(deployment(1, revisionHistoryLimit=1))
    for version in range(1, 5):
        set_image(world, f"app:{version}")
        roll_out(world)
    assert sorted(sets(world)) == ["app:3", "app:4"]


def test_paused_changes_nothing_but_the_size(world: Rig) -> None:
    world.create(deployment(2))
    roll_out(world)
    world.patch(WEB, {"spec": {"paused": True}})
    set_image(world, "app:2")
    roll_out(world)
    assert sets(world) == {"app:1": 2}
    assert progressing(world) == ("Unknown", "DeploymentPaused")
    world.patch(WEB, {"spec": {"replicas": 5}})
    roll_out(world)
    assert sets(world) == {"app:1": 5}
    world.patch(WEB, {"spec": {"paused": False}})
    roll_out(world)
    assert sets(world) == {"app:1": 0, "app:2": 5}


def test_progress_deadline(world: Rig) -> None:
    world.create(deployment(1, progressDeadlineSeconds=60))
    world.advance(50_000)
    assert progressing(world) == ("True", "ReplicaSetUpdated")
    world.advance(15_000)
    assert progressing(world) == ("False", "ProgressDeadlineExceeded")
    roll_out(world)
    assert progressing(world) == ("True", "NewReplicaSetAvailable")


def test_resizing_amid_a_rollout_keeps_the_shares(world: Rig) -> None:
    world.create(deployment(10))
    roll_out(world)
    set_image(world, "app:2")
    world.settle()
    before = sets(world)
    world.patch(WEB, {"spec": {"replicas": 20}})
    world.settle()
    after = sets(world)
    assert sum(after.values()) <= 25
    assert after["app:1"] > before["app:1"] and after["app:2"] > before["app:2"]
    roll_out(world)
    assert sets(world) == {"app:1": 0, "app:2": 20}


def test_a_name_taken_by_another_version_is_got_round(world: Rig) -> None:
    world.create(deployment(1))
    world.settle()
    (rs,) = world.list(SETS)
    name = rs["metadata"]["name"]
    world.delete(WEB, propagation="Orphan")
    world.settle()
    world.patch(Key(SETS, "default", name), {"metadata": {"labels": {"app": "other"}}})
    world.create(deployment(1))
    roll_out(world)
    assert world.get(DEPLOYMENTS, "web")["status"]["collisionCount"] == 1
    assert len(world.list(SETS)) == 2


def test_an_orphaned_replica_set_is_adopted_again(world: Rig) -> None:
    world.create(deployment(1))
    world.settle()
    (before,) = world.list(SETS)
    world.delete(WEB, propagation="Orphan")
    world.settle()
    assert "ownerReferences" not in world.get(SETS, before["metadata"]["name"])["metadata"]
    obj = world.create(deployment(1))
    world.settle()
    (after,) = world.list(SETS)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["metadata"]["ownerReferences"][0]["uid"] == obj["metadata"]["uid"]

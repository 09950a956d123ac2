"""Indexes that fail by themselves (KEP-3850), and pods that are replaced only when they have ended (KEP-3939)."""

from __future__ import annotations

from typing import Any

import pytest
from corerig import Rig, finish, node, start

from actors.api.key import Key

JOBS, PREFIX = "jobs.batch", "batch.kubernetes.io/job-"
INDEX, FAILURES, IGNORED = (
    f"{PREFIX}completion-index",
    f"{PREFIX}index-failure-count",
    f"{PREFIX}index-ignored-failure-count",
)
KEY = Key(JOBS, "default", "train")


@pytest.fixture
def world(rig: Rig) -> Rig:
    rig.create(node("n", cpu=64))
    return rig


def make(world: Rig, **spec: Any) -> None:
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "host"}]}
    spec = {"completions": 2, "parallelism": 2, "completionMode": "Indexed", "template": {"spec": pod}, **spec}
    world.create({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "train"}, "spec": spec})
    world.settle()


def live(world: Rig) -> dict[str, dict[str, Any]]:
    """By index."""
    pods = [pod for pod in world.list("pods") if pod["status"]["phase"] in ("Pending", "Running")]
    return {pod["metadata"]["annotations"][INDEX]: pod for pod in pods if "deletionTimestamp" not in pod["metadata"]}


def end(world: Rig, index: str, phase: str = "Failed", **status: Any) -> dict[str, Any]:
    pod = live(world)[index]
    if status:
        world.patch(Key("pods", "default", pod["metadata"]["name"]), {"status": status}, "status")
    finish(world, pod["metadata"]["name"], phase)
    world.settle()
    return pod


def status(world: Rig) -> dict[str, Any]:
    return world.get(JOBS, "train")["status"]


def reason(world: Rig, type_: str = "FailureTarget") -> str:
    rows = status(world).get("conditions") or ()
    return next((row["reason"] for row in rows if row["type"] == type_), "")


def test_one_index_waits_longer_each_time_and_the_others_do_not(world: Rig) -> None:
    make(world, backoffLimitPerIndex=2)
    assert status(world)["failedIndexes"] == ""
    for failures, wait_ms in (("0", 10_000), ("1", 20_000)):
        assert end(world, "0")["metadata"]["annotations"][FAILURES] == failures
        world.advance(wait_ms - 2_000)
        assert [*live(world)] == ["1"]
        world.advance(3_000)
    assert live(world)["0"]["metadata"]["annotations"][FAILURES] == "2"
    end(world, "1", "Succeeded")
    end(world, "0")
    assert (status(world)["failedIndexes"], status(world)["completedIndexes"]) == ("0", "1")
    assert (reason(world), reason(world, "Failed")) == ("FailedIndexes", "FailedIndexes")
    assert (status(world)["failed"], status(world)["succeeded"]) == (3, 1)
    assert not any(pod["metadata"].get("finalizers") for pod in world.list("pods"))


def test_the_last_failure_stays_until_its_successor_bears_the_count(world: Rig) -> None:
    """Also where somebody deletes it by force meanwhile."""
    make(world, backoffLimitPerIndex=1)
    failed = end(world, "0")["metadata"]["name"]
    world.delete(Key("pods", "default", failed), grace_period_seconds=0)
    world.settle()
    assert world.get("pods", failed) is not None and status(world).get("failed", 0) == 0
    world.advance(11_000)
    assert live(world)["0"]["metadata"]["annotations"][FAILURES] == "1"
    assert world.get("pods", failed) is None and status(world)["failed"] == 1


def test_a_waiting_index_keeps_no_place_from_the_others(world: Rig) -> None:
    make(world, completions=3, parallelism=1, backoffLimitPerIndex=1)
    end(world, "0")
    assert [*live(world)] == ["1"]


def test_the_limit_of_all_holds_beside_that_of_each(world: Rig) -> None:
    make(world, backoffLimit=0, backoffLimitPerIndex=5)
    end(world, "0")
    assert reason(world) == "BackoffLimitExceeded"


@pytest.mark.parametrize(("most", "verdict"), [(0, "MaxFailedIndexesExceeded"), (1, "")])
def test_no_more_indexes_fail_than_may(world: Rig, most: int, verdict: str) -> None:
    make(world, completions=3, backoffLimitPerIndex=0, maxFailedIndexes=most)
    end(world, "0")
    assert reason(world) == verdict


def policy(action: str) -> dict[str, Any]:
    rule = {"action": action, "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    return {"podFailurePolicy": {"rules": [rule]}}


DISRUPTED = {"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "Test"}]}


def test_an_index_fails_at_once_where_the_policy_says_so(world: Rig) -> None:
    make(world, backoffLimitPerIndex=5, **policy("FailIndex"))
    end(world, "1", **DISRUPTED)
    assert (status(world)["failedIndexes"], status(world)["failed"], reason(world)) == ("1", 1, "")


def test_ignored_failures_are_counted_apart(world: Rig) -> None:
    make(world, backoffLimitPerIndex=0, **policy("Ignore"))
    end(world, "0", **DISRUPTED)
    world.advance(11_000)
    marks = live(world)["0"]["metadata"]["annotations"]
    assert (marks[FAILURES], marks[IGNORED]) == ("0", "1")
    assert (status(world)["failedIndexes"], status(world).get("failed", 0)) == ("", 0)


def test_what_succeeds_after_its_index_has_failed_does_not_count(world: Rig) -> None:
    """It was on its way out, and taken for a failure."""
    make(world, backoffLimitPerIndex=0)
    pod = live(world)["0"]["metadata"]["name"]
    start(world, pod)
    world.delete(Key("pods", "default", pod))
    world.settle()
    assert status(world)["failedIndexes"] == "0"
    finish(world, pod, "Succeeded")
    end(world, "1", "Succeeded")
    world.delete(Key("pods", "default", pod), grace_period_seconds=0)
    world.settle()
    assert (status(world)["completedIndexes"], reason(world, "Failed")) == ("1", "FailedIndexes")


@pytest.mark.parametrize("mode", ["Indexed", "NonIndexed"])
def test_a_pod_on_its_way_out_is_terminating_and_keeps_its_place(world: Rig, mode: str) -> None:
    make(world, completions=1, parallelism=1, completionMode=mode, podReplacementPolicy="Failed")
    (pod,) = world.list("pods")
    start(world, pod["metadata"]["name"])
    world.delete(Key("pods", "default", pod["metadata"]["name"]))
    world.settle()
    counts = [status(world).get(name, 0) for name in ("active", "terminating", "failed")]
    assert (counts, len(world.list("pods"))) == ([0, 1, 0], 1)
    finish(world, pod["metadata"]["name"], "Failed")
    world.advance(11_000)
    counts = [status(world).get(name, 0) for name in ("active", "terminating", "failed")]
    assert (counts, len(world.list("pods"))) == ([1, 0, 1], 2)


def test_suspension_counts_a_pod_that_somebody_else_has_deleted(world: Rig) -> None:
    make(world, completions=1, parallelism=1, podReplacementPolicy="Failed")
    (pod,) = world.list("pods")
    start(world, pod["metadata"]["name"])
    world.delete(Key("pods", "default", pod["metadata"]["name"]))
    world.patch(KEY, {"spec": {"suspend": True}})
    world.settle()
    finish(world, pod["metadata"]["name"], "Failed")
    world.settle()
    assert status(world)["failed"] == 1


def test_what_was_deleted_before_it_failed_is_not_kept_while_the_job_is_suspended(world: Rig) -> None:
    """Its successor may come in a week, or never."""
    wide = {"name": "main", "image": "host", "resources": {"requests": {"cpu": "1000"}}}
    make(world, backoffLimitPerIndex=1, template={"spec": {"restartPolicy": "Never", "containers": [wide]}})
    world.delete(Key("pods", "default", live(world)["1"]["metadata"]["name"]))
    world.patch(KEY, {"spec": {"suspend": True}})
    world.settle()
    assert world.list("pods") == []
    world.patch(KEY, {"spec": {"suspend": False}})
    world.settle()
    assert len(live(world)) == 2

from __future__ import annotations

import json
from typing import Any

import pytest
from corerig import Rig, finish, node, pod

from actors.api.key import Key
from actors.reconcile.actions import Patch, Reply
from actors.reconcile.watch import WatchBatch
from actors.scheduler.core import SchedulerCore

GPU = "nvidia.com/gpu"


@pytest.fixture
def rig() -> Rig:
    return Rig(SchedulerCore())


def on(rig: Rig, name: str) -> str | None:
    found = rig.get("pods", name)
    assert found
    return found["spec"].get("nodeName")


def condition(rig: Rig, name: str) -> dict[str, Any]:
    rows = rig.get("pods", name)["status"].get("conditions") or []
    return next((c for c in rows if c["type"] == "PodScheduled"), {})


def status_writes(rig: Rig, name: str) -> int:
    writes = (w for w in rig.writes if isinstance(w, Patch) and w.subresource == "status")
    return sum(write.key.name == name for write in writes)


def test_binds_with_the_devices_it_chose_and_says_so(rig: Rig) -> None:
    devices = json.dumps({GPU: [{"id": "GPU-0", "healthy": False}, {"id": "GPU-1", "healthy": True}]})
    rig.create(node("n", gpu=1, annotations={"raypod.io/devices": devices}))
    rig.create(pod("p", gpu=1))
    rig.settle()
    assert on(rig, "p") == "n"
    annotations = rig.get("pods", "p")["metadata"]["annotations"]
    assert json.loads(annotations["raypod.io/devices"]) == {"main": {GPU: ["GPU-1"]}}
    (event,) = rig.list("events")
    assert (event["reason"], event["message"]) == ("Scheduled", "Successfully assigned default/p to n")
    assert event["involvedObject"]["uid"] == rig.get("pods", "p")["metadata"]["uid"]


def test_devices_of_bound_pods_are_not_given_twice_also_after_a_restart(rig: Rig) -> None:
    devices = json.dumps({GPU: [{"id": f"GPU-{n}"} for n in range(2)]})
    rig.create(node("n", gpu=2, annotations={"raypod.io/devices": devices}))
    rig.create(pod("p", gpu=1))
    rig.settle()
    rig.cores = [SchedulerCore()]
    rig.create(pod("q", gpu=1))
    rig.create(pod("r", gpu=1))
    rig.settle()
    given = [
        json.loads(p["metadata"]["annotations"]["raypod.io/devices"])
        for p in rig.list("pods")
        if on(rig, p["metadata"]["name"])
    ]
    assert sorted(row["main"][GPU][0] for row in given) == ["GPU-0", "GPU-1"]
    assert on(rig, "r") is None


def test_the_reason_is_a_condition_and_an_event_once(rig: Rig) -> None:
    rig.create(node("n", cpu=1))
    rig.create(pod("p", cpu=2))
    rig.settle()
    row = condition(rig, "p")
    assert (row["status"], row["reason"]) == ("False", "Unschedulable")
    assert row["message"] == "0/1 nodes are available: 1 Insufficient cpu (asked 2, most free on one node 1)."
    (event,) = rig.list("events")
    assert (event["type"], event["reason"], event["message"]) == ("Warning", "FailedScheduling", row["message"])
    rig.create(pod("other", cpu="100m"))
    rig.advance(60_000)
    rig.cores = [SchedulerCore()]
    rig.advance(60_000)
    assert status_writes(rig, "p") <= 2, "the words changed once: the other pod took some CPU"


def test_what_may_help_wakes_it_and_what_cannot_does_not(rig: Rig) -> None:
    rig.create(node("n", cpu=1))
    rig.create(pod("first", cpu=1))
    rig.settle()
    rig.create(pod("second", cpu=1))
    rig.settle()
    rig.patch(Key("nodes", "", "n"), {"metadata": {"labels": {"x": "y"}}})
    rig.deliver(rig.cores[0])
    assert rig.cores[0].wake_at() is None, "a label frees no CPU"
    finish(rig, "first")
    rig.advance(1000)
    assert on(rig, "second") == "n"


def test_a_new_node_a_bigger_one_and_a_lifted_taint_help(rig: Rig) -> None:
    taint = {"key": "k", "value": "v", "effect": "NoSchedule"}
    rig.create(node("n", cpu=1, taints=[taint]))
    rig.create(pod("p", cpu=1))
    rig.create(pod("q", cpu=4))
    rig.settle()
    rig.patch(Key("nodes", "", "n"), {"spec": {"taints": None}})
    rig.advance(1000)
    assert on(rig, "p") == "n" and on(rig, "q") is None
    rig.create(node("m", cpu=4))
    rig.advance(1000)
    assert on(rig, "q") == "m"


def test_what_helps_helps_at_once_also_after_the_clock_was_set_back(rig: Rig) -> None:
    rig.create(pod("p"))
    rig.settle()
    rig.now -= 7_200_000
    rig.settle()
    rig.create(node("n"))
    rig.advance(2_000)
    assert on(rig, "p") == "n"


def test_a_refused_bind_gives_back_what_it_took(rig: Rig) -> None:
    core = rig.cores[0]
    rig.create(node("n", cpu=1))
    rig.create(pod("p", cpu=1))
    rig.deliver(core)
    rig.patch(Key("pods", "default", "p"), {"metadata": {"labels": {"changed": "meanwhile"}}})
    rig.step(core)
    assert on(rig, "p") is None
    rig.advance(1000)
    assert on(rig, "p") == "n"


def test_a_namesake_in_a_new_list_does_not_pay_for_the_pod_before_it(rig: Rig) -> None:
    """The removal of the first was never heard of: the list shows the second in its place."""
    core = rig.cores[0]
    rig.create(node("n", cpu=1))
    rig.create(pod("p", cpu=1))
    rig.settle()
    rig.delete(Key("pods", "default", "p"), grace_period_seconds=0)
    rig.create(pod("p", cpu=1))
    rig.relist(core)
    rig.settle()
    assert on(rig, "p") == "n"


def test_a_lagging_watch_does_not_free_what_own_binds_took(rig: Rig) -> None:
    """News of the time before the bind arrive after it: the pod was waiting then, and had been told so."""
    core = rig.cores[0]
    rig.create(pod("p", cpu=1))
    rig.settle()
    rig.create(node("n", cpu=1))
    rig.deliver(core)
    before = rig.since[id(core)]
    rig.patch(Key("pods", "default", "p"), {"metadata": {"labels": {"a": "b"}}})
    rig.deliver(core)
    old = rig.engine.changes(core.selection(), before)
    rig.now += 1000
    rig.step(core)
    assert on(rig, "p") == "n"
    rig.create(pod("q", cpu=1))
    late = rig.engine.changes(core.selection(), old.revision).events[-1]
    assert late.stored.key.name == "q"
    core.observe(WatchBatch((*old.events, late), old.revision), rig.now)
    assert core.pending_count == 1, "q waits; p does not wait again"
    rig.step(core)
    assert on(rig, "q") is None


def test_gated_pods_wait_for_their_gates(rig: Rig) -> None:
    rig.create(node("n"))
    rig.create(pod("p", schedulingGates=[{"name": "example.com/wait"}]))
    rig.settle()
    assert (condition(rig, "p")["reason"], on(rig, "p")) == ("SchedulingGated", None)
    told = rig.engine.get(Key("pods", "default", "p"))
    assert told.revision == told.created_revision, "the store has told it, in the scheduler's words"
    assert [e for e in rig.list("events") if e["reason"] == "FailedScheduling"] == []
    rig.patch(Key("pods", "default", "p"), {"spec": {"schedulingGates": None}})
    rig.settle()
    assert on(rig, "p") == "n"


def test_pods_of_others_and_deleted_ones_are_left_alone(rig: Rig) -> None:
    rig.create(node("n"))
    rig.create(pod("theirs", schedulerName="volcano"))
    dying = pod("dying")
    dying["metadata"]["finalizers"] = ["example.com/wait"]
    rig.create(dying)
    rig.delete(Key("pods", "default", "dying"))
    rig.settle()
    assert on(rig, "theirs") is None and on(rig, "dying") is None


def test_a_pod_that_joins_a_waiting_group_is_told_what_the_others_were(rig: Rig) -> None:
    rig.create(node("n", cpu=1))
    rig.create(pod("p", cpu=2))
    rig.settle()
    rig.create(pod("q", cpu=2))
    rig.settle()
    assert condition(rig, "q")["message"] == condition(rig, "p")["message"]


def test_a_bound_pods_request_for_a_resource_offered_later_counts(rig: Rig) -> None:
    rig.create(node("n"))
    rig.create(pod("early", gpu=1, nodeName="n"))
    rig.settle()
    rig.patch(Key("nodes", "", "n"), {"status": {"allocatable": {GPU: "1"}}}, "status")
    rig.create(pod("late", gpu=1))
    rig.settle()
    assert on(rig, "late") is None


def test_changed_words_are_written_at_most_every_ten_seconds(rig: Rig) -> None:
    rig.create(node("n", cpu=8))
    rig.create(pod("big", cpu=9))
    for number in range(7):
        rig.create(pod(f"p{number}", cpu=1))
        rig.advance(1000)
        finish(rig, f"p{number}")
    rig.advance(1000)
    assert status_writes(rig, "big") <= 2


def test_many_equal_pods_wake_and_wait_together(rig: Rig) -> None:
    """Equal pods are one group: a change wakes the group, one pass answers for all."""
    core = rig.cores[0]
    rig.create(node("n", cpu=1))
    for number in range(300):
        rig.create(pod(f"p{number}", cpu=2))
    rig.settle()
    assert core.pending_count == 300
    assert {condition(rig, f"p{n}")["reason"] for n in range(300)} == {"Unschedulable"}
    rig.patch(Key("nodes", "", "n"), {"status": {"allocatable": {"cpu": "2"}}}, "status")
    rig.advance(1000)
    assert core.pending_count == 299


def test_a_pod_whose_bind_is_not_decided_yet_keeps_its_place(rig: Rig) -> None:
    """Else two pods would get the room of one: a webhook that is still asked may yet let the bind be done."""
    core = rig.cores[0]
    assert isinstance(core, SchedulerCore)
    rig.create(node("n", cpu="1"))
    rig.create(pod("p", cpu="1"))
    rig.relist(core)
    first = _binds(core, rig.now, "Timeout")
    assert [bind.key.name for bind in first] == ["p"]
    rig.create(pod("q", cpu="1"))
    rig.relist(core)
    assert _binds(core, rig.now, "Timeout") == first, "after a list it is asked again, and q does not get the room"
    assert _binds(core, rig.now, "") == []
    assert _binds(core, rig.now + 60_000, "Forbidden") == first, "the very bind"
    assert not core.cache.is_assumed(first[0].key)
    assert [bind.key.name for bind in _binds(core, rig.now + 60_001, "")] == ["q"]


def _binds(core: SchedulerCore, now: int, answer: str) -> list[Patch]:
    """Of one decision; all that it writes is refused for that reason."""
    writes = core.decide(now)
    core.replied(writes, [Reply(error={"reason": answer, "message": "no"}, changed=False) for _ in writes], now)
    return [write for write in writes if isinstance(write, Patch) and write.subresource == "binding"]

from __future__ import annotations

from typing import Any

from corerig import Rig, pod

from actors.api.key import Key
from actors.api.meta import Condition
from actors.reconcile.actions import Create, Emit, Patch, Reply
from actors.reconcile.backoff import Backoff
from actors.reconcile.conditions import condition, differs, with_conditions
from actors.reconcile.events import EventRecorder
from actors.reconcile.workqueue import WorkQueue


def drain(queue: WorkQueue[str], now: int) -> list[str]:
    found = []
    while (item := queue.pop(now)) is not None:
        found.append(item)
    return found


def test_an_item_is_due_once_and_at_its_earliest_time() -> None:
    queue: WorkQueue[str] = WorkQueue()
    for item, at in (("b", 5), ("a", 5), ("b", 3), ("a", 9), ("c", 20)):
        queue.add(item, at)
    assert (queue.next_at(), len(queue)) == (3, 3)
    assert drain(queue, 2) == []
    assert drain(queue, 10) == ["b", "a"]
    assert queue.next_at() == 20


def test_failures_wait_ever_longer_until_forgotten() -> None:
    queue: WorkQueue[str] = WorkQueue(Backoff(first_ms=10, most_ms=35))
    delays = []
    for _ in range(4):
        delays.append(queue.fail("a", 0))
        drain(queue, 100)
    assert delays == [10, 20, 35, 35]
    queue.forget("a")
    assert queue.fail("a", 0) == 10


def test_backoff_does_not_overflow() -> None:
    assert Backoff(first_ms=100, most_ms=5000).delay_ms(10**6) == 5000


def said(message: str = "too bad") -> Emit:
    return Emit(regarding=Key("pods", "default", "p"), uid="u", reason="Failed", message=message, type="Warning")


def flush(rig: Rig, recorder: EventRecorder) -> list[Any]:
    writes = recorder.flush(rig.now)
    recorder.replied(writes, rig.engine.commit(writes, rig.now), rig.now)
    return writes


def test_repeats_become_a_count_and_are_written_now_and_then() -> None:
    rig, recorder = Rig(), EventRecorder("tester", refresh_ms=10_000)
    recorder.record(said(), rig.now)
    assert isinstance(flush(rig, recorder)[0], Create)
    for _ in range(5):
        rig.now += 1000
        recorder.record(said(), rig.now)
        assert flush(rig, recorder) == []
    assert recorder.next_at() == rig.now + 5000
    rig.now += 5000
    assert isinstance(flush(rig, recorder)[0], Patch)
    (event,) = rig.list("events")
    assert event["count"] == 6
    assert event["firstTimestamp"] < event["lastTimestamp"]
    assert recorder.next_at() is None


def test_after_a_restart_the_count_goes_on() -> None:
    rig = Rig()
    for _ in range(3):
        recorder = EventRecorder("tester", refresh_ms=1000)
        recorder.record(said(), rig.now)
        for _ in range(4):
            flush(rig, recorder)
            rig.now += 1000
    (event,) = rig.list("events")
    assert event["count"] == 3


def test_an_event_that_has_expired_is_made_anew() -> None:
    rig, recorder = Rig(), EventRecorder("tester", refresh_ms=1000)
    recorder.record(said(), rig.now)
    flush(rig, recorder)
    (event,) = rig.list("events")
    rig.delete(Key("events", "default", event["metadata"]["name"]))
    rig.now += 1000
    recorder.record(said(), rig.now)
    flush(rig, recorder)
    flush(rig, recorder)
    (event,) = rig.list("events")
    assert event["count"] == 1


def test_an_event_that_is_refused_is_dropped() -> None:
    recorder = EventRecorder("tester")
    recorder.record(said(), 0)
    writes = recorder.flush(0)
    recorder.replied(writes, [Reply(error={"reason": "Forbidden", "message": "namespace is terminating"})], 0)
    assert recorder.flush(10**9) == [] and recorder.next_at() is None


def test_what_is_remembered_is_bounded() -> None:
    recorder = EventRecorder("tester", records_max=10)
    for number in range(100):
        recorder.record(said(str(number)), 0)
    assert len(recorder.flush(0)) == 10


def test_an_event_of_the_longest_name_is_accepted() -> None:
    rig, recorder = Rig(), EventRecorder("tester")
    rig.create(pod("x" * 253))
    emit = Emit(regarding=Key("pods", "default", "x" * 253), uid="u", reason="R", message="m" * 5000)
    recorder.record(emit, rig.now)
    flush(rig, recorder)
    (event,) = rig.list("events")
    assert (len(event["message"]), event["message"][-4:]) == (1024, "m...")


def test_conditions_keep_their_time_until_the_status_moves() -> None:
    old = (Condition("A", "True", "R", "m", "2026-01-01T00:00:00Z"), Condition("B", "False"))
    same = with_conditions(old, [condition("A", True, "R2", "m2", 1_790_000_000_000)])
    assert same[0]["lastTransitionTime"] == "2026-01-01T00:00:00Z" and same[0]["reason"] == "R2"
    assert [row["type"] for row in same] == ["A", "B"]
    moved = with_conditions(old, [condition("A", False, "R", "m", 1_790_000_000_000)])
    assert moved[0]["lastTransitionTime"] == "2026-09-21T14:13:20Z"
    assert not differs(old, [condition("A", True, "R", "m", 5)])
    assert differs(old, [condition("A", True, "R", "new words", 5)])


def test_a_clock_that_is_set_back_makes_everything_due() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("later", 5_000)
    assert queue.pop(4_000) is None
    assert queue.pop(1_000) == "later"
    assert queue.pop(1_000) is None

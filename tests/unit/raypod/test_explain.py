"""What `raypod explain` makes of objects: trouble is told, what is well is counted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from raypod.explain import Story, Told, format_story, is_well

NOW = datetime(2026, 11, 23, 10, 0, 0, tzinfo=UTC)


def pod(phase: str = "Running", ready: bool = True, **status: Any) -> dict[str, Any]:
    containers = [{"name": "c", "ready": ready, **status.pop("container", {})}]
    return {
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "ns", "uid": "1"},
        "spec": {"nodeName": "n1"},
        "status": {"phase": phase, "containerStatuses": containers, **status},
    }


def lines(story: Story) -> list[str]:
    return list(format_story(story, NOW))


def test_a_pod_that_cannot_run_tells_why() -> None:
    waiting = {
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
        "lastState": {"terminated": {"reason": "Error", "exitCode": 7}},
    }
    conditions = [
        {"type": "PodScheduled", "status": "True"},
        {"type": "Ready", "status": "False", "reason": "ContainersNotReady", "message": "containers: [c]"},
    ]
    broken = pod(ready=False, container=waiting, conditions=conditions)
    event = {
        "metadata": {"creationTimestamp": "2026-11-23T09:00:00Z"},
        "lastTimestamp": "2026-11-23T09:59:48Z",
        "type": "Warning",
        "reason": "BackOff",
        "message": "again",
        "count": 3,
    }
    owner = {"kind": "Job", "metadata": {"name": "j", "namespace": "ns"}, "status": {"failed": 2}}
    assert lines(Story(Told(broken, [event]), [owner], [], 0)) == [
        "Pod ns/p: Running on n1",
        "  Ready is False, ContainersNotReady: containers: [c]",
        "  container c: waiting, CrashLoopBackOff: back-off 10s",
        "  container c: before that terminated, Error, exit code 7",
        "  12s before, Warning BackOff: again (x3)",
        "belongs to Job ns/j: 0 active, 0 succeeded, 2 failed",
    ]


def test_what_belongs_to_it_is_counted_and_its_trouble_told() -> None:
    web = {
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "ns"},
        "spec": {"replicas": 3},
        "status": {"readyReplicas": 2, "conditions": [{"type": "ReplicaFailure", "status": "False"}]},
    }
    assert lines(Story(Told(web, []), [], [Told(pod("Pending"), [])], 4)) == [
        "Deployment ns/web: 2 of 3 ready",
        "4 object(s) belong to it, 1 of them in trouble:",
        "Pod ns/p: Pending on n1",
    ]
    assert lines(Story(Told(web, []), [], [], 4))[-1] == "4 object(s) belong to it, none of them in trouble"


def test_what_waits_for_its_finalizers_says_for_which() -> None:
    going = {"deletionTimestamp": "2026-11-23T09:00:00Z", "finalizers": ["a.io/b"], "name": "m"}
    told = Told({"kind": "ConfigMap", "metadata": going}, [])
    assert lines(Story(told, [], [], 0)) == ["ConfigMap m: being deleted since 2026-11-23T09:00:00Z, held by a.io/b"]


@pytest.mark.parametrize(
    ("obj", "well"),
    [
        (pod(), True),
        (pod(ready=False), False),
        (pod("Succeeded", ready=False), True),
        (pod("Failed", ready=False), False),
        ({"kind": "ReplicaSet", "metadata": {}, "spec": {"replicas": 1}, "status": {}}, False),
        ({"kind": "ReplicaSet", "metadata": {}, "spec": {"replicas": 0}, "status": {}}, True),
        ({"kind": "Job", "metadata": {}, "status": {"failed": 1}}, False),
        ({"kind": "Job", "metadata": {"deletionTimestamp": "x"}, "status": {}}, False),
    ],
)
def test_wellness(obj: dict[str, Any], well: bool) -> None:
    assert is_well(obj) is well

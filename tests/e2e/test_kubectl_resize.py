"""Pods that are given more or less while they run: kubectl patch --subresource=resize, down to the container's cgroup."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from whole_cluster import WholeCluster, wait_for

pytestmark = [pytest.mark.root, pytest.mark.timeout(150)]
POD = "resized"
_POLICY = [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]
_HOLDS = "import time; kept = bytearray(40 << 20); time.sleep(10000)"


def _pod(name: str, cpu: str, memory: str, command: list[str], **fields: Any) -> dict[str, Any]:
    main = {"name": "main", "image": "host", "command": command, "resources": _size(cpu, memory), **fields}
    spec = {"terminationGracePeriodSeconds": 0, "containers": [main]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def _size(cpu: str, memory: str) -> dict[str, Any]:
    return {"limits": {"cpu": cpu, "memory": memory}, "requests": {"cpu": cpu, "memory": memory}}


@pytest.fixture(scope="module")
def pod(whole: WholeCluster) -> Iterator[str]:
    for made in (
        _pod(POD, "100m", "64Mi", ["python3", "-c", _HOLDS]),
        _pod("restarted", "100m", "64Mi", ["sleep", "1000"], resizePolicy=_POLICY),
    ):
        whole.kubectl("apply", "-f", "-", stdin=json.dumps(made))
        whole.kubectl("wait", "--for=condition=Ready", f"pod/{made['metadata']['name']}", "--timeout=40s")
    yield POD
    whole.kubectl("delete", "pod", POD, "restarted", "--wait=false", "--ignore-not-found")


def _resize(whole: WholeCluster, name: str, cpu: str, memory: str) -> None:
    patch = {"spec": {"containers": [{"name": "main", "resources": _size(cpu, memory)}]}}
    whole.kubectl("patch", "pod", name, "--subresource=resize", "-p", json.dumps(patch))


def _has(whole: WholeCluster, name: str) -> tuple[Any, Any, int, list[tuple[str, str]]]:
    """(allocated, limits that it has, restarts, conditions of a resize with their reasons)."""
    status = whole.get("pod", name)["status"]
    main = status["containerStatuses"][0]
    told = [(c["type"], c.get("reason", "")) for c in status["conditions"] if c["type"].startswith("PodResize")]
    return main["allocatedResources"], main["resources"]["limits"], main["restartCount"], told


def _limits(whole: WholeCluster, name: str) -> list[str]:
    """What the kernel says, inside."""
    script = "cat /sys/fs/cgroup/cpu*/cpu.cfs_quota_us /sys/fs/cgroup/cpu.max 2>/dev/null | cut -d' ' -f1 | head -1; "
    script += "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; true"
    return whole.kubectl("exec", name, "--", "sh", "-c", script).out.split()


def test_more_and_less_in_place(whole: WholeCluster, pod: str) -> None:
    assert _limits(whole, pod) == ["10000", str(64 << 20)]
    for cpu, memory, quota, limit in (("200m", "128Mi", "20000", 128 << 20), ("150m", "96Mi", "15000", 96 << 20)):
        _resize(whole, pod, cpu, memory)
        size = {"cpu": cpu, "memory": memory}
        wait_for("it is told to be so", lambda size=size: _has(whole, pod) == (size, size, 0, []))
        assert _limits(whole, pod) == [quota, str(limit)]
    got = whole.get("pod", pod)
    assert got["status"]["observedGeneration"] == got["metadata"]["generation"] == 3
    events = whole.kubectl("get", "events", "--field-selector", f"involvedObject.name={pod}").out
    assert "ResizeCompleted" in events


def test_less_memory_than_it_holds(whole: WholeCluster, pod: str) -> None:
    """It is not killed for that: the resize stays in progress, with the reason, until it is taken back."""
    _resize(whole, pod, "150m", "16Mi")
    wait_for("it is told", lambda: _has(whole, pod)[3] == [("PodResizeInProgress", "Error")])
    (told,) = (c for c in whole.get("pod", pod)["status"]["conditions"] if c["type"] == "PodResizeInProgress")
    assert "below current usage" in told["message"]
    assert _has(whole, pod)[:3] == ({"cpu": "150m", "memory": "16Mi"}, {"cpu": "150m", "memory": "96Mi"}, 0)
    _resize(whole, pod, "150m", "96Mi")
    size = {"cpu": "150m", "memory": "96Mi"}
    wait_for("all is well again", lambda: _has(whole, pod) == (size, size, 0, []))


def test_by_a_new_start(whole: WholeCluster, pod: str) -> None:
    _resize(whole, "restarted", "200m", "64Mi")
    size = {"cpu": "200m", "memory": "64Mi"}
    wait_for("CPU needs none", lambda: _has(whole, "restarted") == (size, size, 0, []))
    _resize(whole, "restarted", "200m", "80Mi")
    size = {"cpu": "200m", "memory": "80Mi"}
    wait_for("memory needs one", lambda: _has(whole, "restarted") == (size, size, 1, []))
    wait_for("it runs again", lambda: whole.get("pod", "restarted")["status"]["containerStatuses"][0]["ready"])
    assert _limits(whole, "restarted") == ["20000", str(80 << 20)]


def test_never_and_not_now(whole: WholeCluster, pod: str) -> None:
    """What is deferred counts with the scheduler, and comes when there is room."""
    total = whole.get("node", whole.node)["status"]["allocatable"]["cpu"]
    millis = int(total[:-1]) if total.endswith("m") else int(total) * 1000
    before = _has(whole, pod)[:3]
    _resize(whole, pod, f"{millis + 1}m", "96Mi")
    wait_for("never", lambda: _has(whole, pod)[3] == [("PodResizePending", "Infeasible")])
    _resize(whole, pod, f"{millis - 100}m", "96Mi")
    wait_for("not now", lambda: _has(whole, pod)[3] == [("PodResizePending", "Deferred")])
    assert _has(whole, pod)[:3] == before
    whole.kubectl("apply", "-f", "-", stdin=json.dumps(_pod("late", "100m", "16Mi", ["sleep", "1000"])))
    wait_for("no room", lambda: "Insufficient cpu" in json.dumps(whole.get("pod", "late")["status"]))
    whole.kubectl("delete", "pod", "late", "restarted")
    size = {"cpu": f"{millis - 100}m", "memory": "96Mi"}
    wait_for("now", lambda: _has(whole, pod) == (size, size, 0, []))

"""One stored object in a few words, for traces that people read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from actors.api.codec import Object, decode
from actors.api.key import Stored


def summarize(stored: Stored) -> str:
    obj = decode(stored)
    tell = _TELLERS.get(stored.key.resource)
    words = list(tell(obj)) if tell else []
    if obj["metadata"].get("deletionTimestamp"):
        words.append("deleting")
    if obj["metadata"].get("finalizers"):
        words.append("held by " + ",".join(name.rpartition("/")[2] for name in obj["metadata"]["finalizers"]))
    return " ".join(words) or "put"


def _pod(pod: Object) -> Iterable[str]:
    status = pod.get("status") or {}
    yield status.get("phase", "Pending")
    if pod["spec"].get("nodeName"):
        yield f"on {pod['spec']['nodeName']}"
    for row in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        yield f"{row['name']}={_state(row)}"
    yield from (f"[{c.get('reason')}]" for c in status.get("conditions") or () if c["type"] == "DisruptionTarget")


def _state(row: Object) -> str:
    state: dict[str, Any] = row.get("state") or {}
    restarts = f"*{row['restartCount']}" if row.get("restartCount") else ""
    if "terminated" in state:
        return f"{state['terminated'].get('reason')}({state['terminated'].get('exitCode')}){restarts}"
    if "waiting" in state:
        return f"{state['waiting'].get('reason')}{restarts}"
    return f"running{restarts}"


def _node(node: Object) -> Iterable[str]:
    ready = next((c["status"] for c in (node.get("status") or {}).get("conditions") or () if c["type"] == "Ready"), "?")
    yield f"ready={ready}"
    if (node.get("spec") or {}).get("unschedulable"):
        yield "cordoned"
    yield from (f"{t['key'].rpartition('/')[2]}:{t['effect']}" for t in (node.get("spec") or {}).get("taints") or ())


def _replicas(obj: Object) -> Iterable[str]:
    status = obj.get("status") or {}
    yield f"wants {obj['spec'].get('replicas')}, has {status.get('replicas', 0)}"
    yield f"{status.get('readyReplicas', 0)} ready"


def _job(job: Object) -> Iterable[str]:
    spec, status = job["spec"], job.get("status") or {}
    yield f"{status.get('active', 0)} active, {status.get('succeeded', 0)} of {spec.get('completions')} succeeded"
    yield f"{status.get('failed', 0)} failed"
    yield from (c["type"] for c in status.get("conditions") or () if c["status"] == "True")


def _event(event: Object) -> Iterable[str]:
    yield f"{event.get('reason')} x{event.get('count', 1)}: {event.get('message', '')[:100]}"


_TELLERS: dict[str, Callable[[Object], Iterable[str]]] = {
    "pods": _pod,
    "nodes": _node,
    "deployments.apps": _replicas,
    "replicasets.apps": _replicas,
    "statefulsets.apps": _replicas,
    "replicationcontrollers": _replicas,
    "jobs.batch": _job,
    "events": _event,
}

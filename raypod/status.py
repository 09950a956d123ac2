"""What became of a run, derived from its Job and its pods. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Literal

import msgspec

from raypod.manifests import CONTAINER, INDEX_LABEL, REPLICAS_MAX

Object = dict[str, Any]
#: Written by the Job's controller: by replica, the exit code and the pod's name.
STOPPED_ANNOTATION = "raypod.io/stopped"
Phase = Literal["Pending", "Running", "Succeeded", "Failed", "Stopping"]


class RunStatus(msgspec.Struct, frozen=True, kw_only=True):
    """`message` says why a run is pending or how it failed. Counts are of replicas, times seconds since the epoch.

    `exit_code` is that of the replica that failed first, for it made the others stop; 0 while none has.
    """

    phase: Phase
    replicas: int
    active: int = 0
    succeeded: int = 0
    failed: int = 0
    message: str = ""
    exit_code: int = 0
    exit_codes: tuple[int | None, ...] = ()
    submitted_at: float = 0
    scheduled_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None

    @property
    def is_finished(self) -> bool:
        return self.phase in ("Succeeded", "Failed")

    @property
    def is_started(self) -> bool:
        """Every replica's container runs, or has run."""
        ended = sum(code is not None for code in self.exit_codes)
        return self.is_finished or self.active + ended >= self.replicas


def derive_status(job: Object, pods: Sequence[Object]) -> RunStatus:
    """`pods` may hold several attempts of a replica; the newest counts.

    A Job that another client made may have more replicas than a run: the first ones' exit codes are told.
    """
    replicas = job["spec"].get("completions") or 1
    newest = newest_by_index(with_stopped(job, pods))
    status = job.get("status") or {}
    codes = [exit_code(newest.get(index)) for index in range(min(replicas, REPLICAS_MAX))]
    culprit = _culprit(newest.values())
    return RunStatus(
        phase=_phase(job, newest.values()),
        replicas=replicas,
        active=sum(_phase_of(pod) == "Running" for pod in newest.values()),
        succeeded=status.get("succeeded") or 0,
        failed=status.get("failed") or 0,
        message=_message(job, newest.values(), culprit),
        exit_code=exit_code(culprit) or 0,
        exit_codes=tuple(codes),
        submitted_at=_seconds(job["metadata"].get("creationTimestamp")) or 0,
        scheduled_at=_latest(_condition_time(pod, "PodScheduled") for pod in newest.values()),
        started_at=_latest(_state_time(pod, "startedAt") for pod in newest.values()),
        finished_at=_latest(_state_time(pod, "finishedAt") for pod in newest.values()) if _done(job) else None,
    )


def newest_by_index(pods: Sequence[Object]) -> dict[int, Object]:
    """The last attempt of each replica, in the order of their numbers."""
    newest: dict[int, Object] = {}
    for pod in sorted(pods, key=lambda pod: (pod["metadata"].get("creationTimestamp", ""), _revision(pod))):
        newest[index_of(pod)] = pod
    return dict(sorted(newest.items()))


def index_of(pod: Object) -> int:
    metadata = pod["metadata"]
    text = (metadata.get("labels") or {}).get(INDEX_LABEL) or (metadata.get("annotations") or {}).get(INDEX_LABEL)
    return int(text or 0)


def exit_code(pod: Object | None) -> int | None:
    """Of a replica that has ended; None before."""
    terminated = _state(pod, "terminated") if pod else None
    return terminated.get("exitCode", 0) if terminated else None


def with_stopped(job: Object, pods: Sequence[Object]) -> list[Object]:
    """`pods`, and what is known of those that are gone: they were stopped because another one failed."""
    text = (job["metadata"].get("annotations") or {}).get(STOPPED_ANNOTATION) or "{}"
    stopped: dict[str, tuple[int, str]] = {}
    with suppress(msgspec.MsgspecError):
        stopped = msgspec.json.decode(text, type=dict[str, tuple[int, str]])
    present = {pod["metadata"].get("name") for pod in pods}
    gone = [_gone_pod(index, *end) for index, end in stopped.items() if index.isdigit() and end[1] not in present]
    return [*gone, *pods]


def _gone_pod(index: str, code: int, name: str) -> Object:
    metadata = {"name": name, "labels": {INDEX_LABEL: index}, "deletionTimestamp": "9999-12-31T23:59:59Z"}
    ended = {"name": CONTAINER, "state": {"terminated": {"exitCode": code}}}
    return {"metadata": metadata, "status": {"phase": "Failed", "containerStatuses": [ended]}}


def _culprit(pods: Iterable[Object]) -> Object | None:
    """The replica that failed first; of those that were stopped the first one when no other is left."""
    failed = [pod for pod in pods if exit_code(pod)]
    return min(failed, key=_blame, default=None)


def _blame(pod: Object) -> tuple[bool, str, int]:
    ended = _state(pod, "terminated") or {}
    return "deletionTimestamp" in pod["metadata"], ended.get("finishedAt") or "", index_of(pod)


def has_output(pod: Object) -> bool:
    """Its container has started, so that there is a log to read."""
    return bool(_state(pod, "running") or _state(pod, "terminated"))


def why_waiting(pod: Object) -> str:
    """One sentence; "" when it waits for nothing."""
    for condition in (pod.get("status") or {}).get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition.get("message") or condition.get("reason") or "waits for a node")
    waiting = _state(pod, "waiting") or {}
    if waiting.get("reason") in ("ContainerCreating", "PodInitializing"):
        return str(waiting.get("message", ""))
    return ": ".join(filter(None, (waiting.get("reason", ""), waiting.get("message", ""))))


def _state(pod: Object | None, name: str) -> Object | None:
    for status in ((pod or {}).get("status") or {}).get("containerStatuses") or ():
        if status["name"] == CONTAINER:
            found: Object | None = (status.get("state") or {}).get(name)
            return found
    return None


def _done(job: Object) -> str:
    for condition in (job.get("status") or {}).get("conditions") or ():
        if condition["type"] in ("Complete", "Failed") and condition["status"] == "True":
            return str(condition["type"])
    return ""


def _phase(job: Object, pods: Iterable[Object]) -> Phase:
    if done := _done(job):
        return "Succeeded" if done == "Complete" else "Failed"
    if job["metadata"].get("deletionTimestamp"):
        return "Stopping"
    return "Running" if any(_phase_of(pod) in ("Running", "Succeeded", "Failed") for pod in pods) else "Pending"


def _phase_of(pod: Object) -> str:
    return str((pod.get("status") or {}).get("phase") or "Pending")


def _message(job: Object, pods: Iterable[Object], culprit: Object | None) -> str:
    if culprit is not None:
        terminated = _state(culprit, "terminated") or {}
        said = terminated.get("message") or terminated.get("reason") or "Error"
        return f"replica {index_of(culprit)} exited with code {terminated['exitCode']}: {said}".strip()
    for pod in pods:
        if why := why_waiting(pod) or _pod_message(pod):
            return why
    conditions = (job.get("status") or {}).get("conditions") or ()
    return next((c.get("message", "") for c in conditions if c["type"] == "Failed" and c["status"] == "True"), "")


def _pod_message(pod: Object) -> str:
    status = pod.get("status") or {}
    if status.get("phase") != "Failed":
        return ""
    return ": ".join(filter(None, (status.get("reason", ""), status.get("message", ""))))


def _condition_time(pod: Object, kind: str) -> float | None:
    for condition in (pod.get("status") or {}).get("conditions") or ():
        if condition["type"] == kind and condition["status"] == "True":
            return _seconds(condition.get("lastTransitionTime"))
    return None


def _state_time(pod: Object, field: str) -> float | None:
    state = _state(pod, "terminated") or _state(pod, "running") or {}
    return _seconds(state.get(field))


def _seconds(text: str | None) -> float | None:
    return datetime.fromisoformat(text).timestamp() if text else None


def _latest(times: Iterable[float | None]) -> float | None:
    known = [time for time in times if time is not None]
    return max(known) if known else None


def _revision(pod: Object) -> int:
    return int(pod["metadata"].get("resourceVersion") or 0)

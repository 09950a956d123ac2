"""Why and how a pod ends on its node. One `Stop` at most holds at a time; the first reason in `find_stop` wins.

The order of the end: containers (sidecars after the others), sandbox, volumes, and only then the store hears of it
with a deletion of grace 0, so that a name is free again only when nothing of the old pod runs.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from actors.api.clock import Millis
from actors.api.pod import Pod
from actors.nodelet.attempts import STATUS_LISTS
from actors.nodelet.lifecycle import Stage, completed_ms, is_completed
from actors.nodelet.operations import Operation, RemoveSandbox, StopContainer, StopSandbox, UnpublishVolumes
from actors.nodelet.record import TERMINAL_PHASES, PodRecord, init_containers, is_sidecar

#: The grace of a pod that the store knows no longer: somebody forced its deletion.
GONE_GRACE_MS = 1_000


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """`reason` and `message` become the pod's status when `fails`: the pod ends Failed whatever its exit codes."""

    grace_ms: Millis
    reason: str = ""
    message: str = ""
    fails: bool = False


def find_stop(record: PodRecord, now: Millis) -> Stop | None:
    """None: the pod shall run."""
    pod = record.pod
    if pod is None:
        return Stop(grace_ms=GONE_GRACE_MS)
    grace_ms = 1_000 * pod.spec.termination_grace_period_seconds
    if record.refusal is not None:
        return Stop(grace_ms=grace_ms, reason=record.refusal.reason, message=record.refusal.message, fails=True)
    completed = is_completed(record, pod)
    if record.is_terminal or (completed and not _has_overrun(record, pod, completed_ms(record, pod))):
        return Stop(grace_ms=_deletion_grace_ms(pod))
    if completed or _has_overrun(record, pod, now):
        record.overrun = True
        message = "Pod was active on the node longer than the specified deadline"
        return Stop(grace_ms=_deletion_grace_ms(pod), reason="DeadlineExceeded", message=message, fails=True)
    return Stop(grace_ms=_deletion_grace_ms(pod)) if pod.metadata.is_deleting else None


def deadline_ms(record: PodRecord, pod: Pod) -> Millis | None:
    if pod.spec.active_deadline_seconds is None or not record.started_ms:
        return None
    return record.started_ms + 1_000 * pod.spec.active_deadline_seconds


def _has_overrun(record: PodRecord, pod: Pod, at_ms: Millis) -> bool:
    """Once seen it stays so, also when the clock goes back: the pod was stopped for it."""
    deadline = deadline_ms(record, pod)
    return record.overrun or (deadline is not None and at_ms >= deadline)


def derive_end(record: PodRecord) -> Stage:
    """Which part of the end a pod that shall not run is in."""
    if record.running() or record.is_busy("create/", "start/"):
        return Stage.STOPPING
    if record.sandboxes or record.doubtful or record.has_volumes or record.is_busy("sandbox/", "volumes"):
        return Stage.CLEANING
    return Stage.GONE


def plan_stop(record: PodRecord, stop: Stop) -> Iterator[Operation]:
    """Stop what runs. Sidecars stay until the other containers have ended (KEP-753)."""
    sidecars = {c.name for c in init_containers(record.pod) if is_sidecar(c)} if record.pod else set()
    running = record.running()
    first = [container for container in running if container.spec.name not in sidecars]
    for container in first or running:
        yield StopContainer(
            pod_uid=record.uid, name=container.spec.name, container_id=container.spec.id, grace_ms=stop.grace_ms
        )


def plan_cleanup(record: PodRecord) -> Iterator[Operation]:
    """Give back sandbox and volumes. What became of the containers is forgotten only when the store has it."""
    if record.has_volumes:
        yield UnpublishVolumes(pod_uid=record.uid)
    for sandbox_id in sorted({*record.sandboxes, *record.doubtful}):
        if sandbox_id not in record.stopped:
            yield StopSandbox(pod_uid=record.uid, sandbox_id=sandbox_id)
        elif record.pod is None or is_reported(record):
            yield RemoveSandbox(pod_uid=record.uid, sandbox_id=sandbox_id)


def is_reported(record: PodRecord) -> bool:
    """Does the store know how the pod ended, with the exit code of each container that ran?"""
    if record.status.get("phase") not in TERMINAL_PHASES:
        return False
    entries = (entry for key in STATUS_LISTS for entry in record.status.get(key) or ())
    return not any("running" in (entry.get("state") or {}) for entry in entries)


def _deletion_grace_ms(pod: Pod) -> Millis:
    seconds = pod.metadata.deletion_grace_period_seconds
    return 1_000 * (pod.spec.termination_grace_period_seconds if seconds is None else seconds)

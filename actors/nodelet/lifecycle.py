"""A pod's life on its node: the stages, which may follow which, when a container runs again and after how long.

The stage is derived from what is known, never stored: a nodelet that starts anew finds every pod in the stage it was
in. `NEXT` is the table of what may follow what; the core checks it and an illegal step tells the whole story.
Restart rules and back-off are kubelet's: at once, 10 s, doubling to 5 min, anew after 10 min of running.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

import msgspec

from actors.api.clock import Millis
from actors.api.pod import Container, Pod
from actors.nodelet.attempts import Attempt, AttemptState, latest_attempt
from actors.nodelet.record import PodRecord, ephemeral_containers, init_containers, is_sidecar, main_containers


class Stage(StrEnum):
    PREPARING = "Preparing"  # sandbox, volumes, devices, images are being made ready
    INITIALIZING = "Initializing"  # init containers run, one after the other
    RUNNING = "Running"  # the containers are started, and started again
    STOPPING = "Stopping"  # nothing may be started any more, what runs is being stopped
    CLEANING = "Cleaning"  # nothing runs; sandbox and volumes are given back
    GONE = "Gone"  # nothing of the pod is left on the node


NEXT: dict[Stage | None, frozenset[Stage]] = {
    None: frozenset(Stage),  # adopted in whatever stage it is in
    Stage.PREPARING: frozenset(Stage) - {Stage.PREPARING},
    Stage.INITIALIZING: frozenset({Stage.PREPARING, Stage.RUNNING, Stage.STOPPING, Stage.CLEANING}),
    Stage.RUNNING: frozenset({Stage.PREPARING, Stage.INITIALIZING, Stage.STOPPING, Stage.CLEANING}),
    Stage.STOPPING: frozenset({Stage.CLEANING, Stage.GONE}),
    Stage.CLEANING: frozenset({Stage.STOPPING, Stage.GONE}),
    Stage.GONE: frozenset({Stage.STOPPING, Stage.CLEANING}),  # a late or repeated operation left something behind
}


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """Kubelet's crash loop: the first restart is at once, then after `initial_ms`, doubling to `limit_ms`."""

    initial_ms: Millis = 10_000
    limit_ms: Millis = 300_000
    reset_ms: Millis = 600_000


def restart_at(attempt: Attempt, backoff: Backoff) -> Millis:
    """When a container whose latest attempt has ended may run again."""
    forgiven = attempt.ran_ms >= backoff.reset_ms
    return attempt.finished_ms + (0 if forgiven else attempt.backoff_ms)


def next_backoff_ms(attempt: Attempt | None, backoff: Backoff) -> Millis:
    """The wait after the end of the attempt that follows `attempt`."""
    if attempt is None:
        return 0
    if attempt.state == AttemptState.VOID:
        return attempt.backoff_ms
    if attempt.ran_ms >= backoff.reset_ms:
        return backoff.initial_ms
    return min(max(backoff.initial_ms, 2 * attempt.backoff_ms), backoff.limit_ms)


def restarts(policy: str, attempt: Attempt) -> bool:
    """Does a container that ended like this run again?"""
    if attempt.state == AttemptState.VOID:
        return True
    return policy == "Always" or (policy == "OnFailure" and attempt.exit_code != 0)


def is_outdated(record: PodRecord, container: Container, attempt: Attempt) -> bool:
    """Has the pod been given another image since, or is it ended for another size? It runs anew then, whatever its
    restart policy."""
    return attempt.image_name not in ("", container.image) or attempt.container_id in record.restarting


def restart_policy_of(pod: Pod, container: Container) -> str:
    """Sidecars always; other init containers until they succeed, unless the pod's policy is Never; ephemeral ones
    never."""
    if container in ephemeral_containers(pod):
        return "Never"
    if container in main_containers(pod) or is_sidecar(container):
        return container.restart_policy or pod.spec.restart_policy
    return "Never" if pod.spec.restart_policy == "Never" else "OnFailure"


def is_initialized(record: PodRecord, pod: Pod) -> bool:
    """Have all init containers done their work in the present sandbox?"""
    return next(pending_init(record, pod), None) is None


def pending_init(record: PodRecord, pod: Pod) -> Iterator[Container]:
    """The init containers whose work is still to be done, in order. None once a main container was started here."""
    sandbox_id = _present_sandbox_id(record)
    mains = (latest_attempt(record, container.name) for container in main_containers(pod))
    if any(attempt is not None and attempt.sandbox_id == sandbox_id for attempt in mains):
        return
    for container in init_containers(pod):
        attempt = latest_attempt(record, container.name)
        if attempt is None or attempt.sandbox_id != sandbox_id or not _init_done(container, attempt):
            yield container


def is_completed(record: PodRecord, pod: Pod) -> bool:
    """Has every container ended for good, or has an init container failed for good?"""
    return _init_has_failed(record, pod) or _mains_have_ended(record, pod)


def completed_ms(record: PodRecord, pod: Pod) -> Millis:
    """When the last container ended."""
    ends = (latest_attempt(record, container.name) for container in main_containers(pod))
    return max((attempt.finished_ms for attempt in ends if attempt is not None), default=0)


def _init_done(container: Container, attempt: Attempt) -> bool:
    if is_sidecar(container):
        return attempt.is_running or attempt.has_exited
    return attempt.has_exited and attempt.exit_code == 0


def _init_has_failed(record: PodRecord, pod: Pod) -> bool:
    if pod.spec.restart_policy != "Never":
        return False
    ordinary = (container for container in init_containers(pod) if not is_sidecar(container))
    ends = (latest_attempt(record, container.name) for container in ordinary)
    return any(attempt is not None and attempt.has_failed for attempt in ends)


def _mains_have_ended(record: PodRecord, pod: Pod) -> bool:
    for container in main_containers(pod):
        attempt = latest_attempt(record, container.name)
        if attempt is None or not attempt.has_exited or is_outdated(record, container, attempt):
            return False
        if restarts(restart_policy_of(pod, container), attempt):
            return False
    return True


def _present_sandbox_id(record: PodRecord) -> str:
    sandbox = record.ready_sandbox
    return sandbox.spec.id if sandbox else "-"

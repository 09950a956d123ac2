"""Why a container does not run (yet): the reason and sentence of `state.waiting`, in kubelet's words. Pure."""

from __future__ import annotations

import msgspec

from actors.api.clock import Millis
from actors.api.pod import Container, Pod
from actors.nodelet.attempts import Attempt
from actors.nodelet.lifecycle import is_outdated, restart_at, restart_policy_of, restarts
from actors.nodelet.record import PodRecord, Retry, init_containers
from actors.nodelet.spec import NodeView

#: So long a failed pull is shown as ErrImagePull before it becomes ImagePullBackOff.
PULL_ERROR_SHOWN_MS = 2_000
#: Failures that keep their own reason while the nodelet waits to try again.
_PULL_FINAL = frozenset({"InvalidImageName", "ErrImageNeverPull"})


class Waiting(msgspec.Struct, frozen=True):
    reason: str
    message: str = ""


def derive_waiting(record: PodRecord, pod: Pod, container: Container, node: NodeView, now: Millis) -> Waiting:
    for slot in (f"create/{container.name}", f"start/{container.name}", "config"):
        if slot in record.retries:
            failure = record.retries[slot].failure
            return Waiting(failure.reason, failure.message)
    if f"image/{container.image}" in record.retries:
        return _pull_waiting(container.image, record.retries[f"image/{container.image}"], now)
    reason = (
        "PodInitializing" if container not in init_containers(pod) and init_containers(pod) else "ContainerCreating"
    )
    for slot, retry in record.retries.items():
        if slot == "volumes" or slot.startswith("sandbox/"):
            return Waiting(reason, retry.failure.message)
    slot = f"image/{container.image}"
    progress = record.progress.get(slot, "") if slot in record.in_flight else ""
    return Waiting(reason, progress)


def crash_loop(
    record: PodRecord, pod: Pod, container: Container, attempt: Attempt, node: NodeView, now: Millis
) -> Waiting | None:
    """None: it does not run again, or it does at once."""
    due_ms = restart_at(attempt, node.config.backoff)
    if is_outdated(record, container, attempt) or not restarts(restart_policy_of(pod, container), attempt):
        return None
    if not attempt.finished_ms <= now < due_ms:
        return None
    seconds = attempt.backoff_ms // 1_000
    full_name = f"{record.key.name}_{record.key.namespace}({record.uid})"
    message = f"back-off {seconds}s restarting failed container={container.name} pod={full_name}"
    return Waiting("CrashLoopBackOff", message)


def _pull_waiting(reference: str, retry: Retry, now: Millis) -> Waiting:
    failure = retry.failure
    if failure.reason in _PULL_FINAL or now < retry.failed_ms + PULL_ERROR_SHOWN_MS:
        return Waiting(failure.reason, failure.message)
    return Waiting("ImagePullBackOff", f'Back-off pulling image "{reference}": {failure.reason}: {failure.message}')

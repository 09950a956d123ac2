"""One run of one container, as the runtime knows it or, when the runtime has forgotten it, as the store remembers it.

Restart counts and back-off live here and nowhere else, so they survive the nodelet: the attempt number is part of the
container's id, the back-off of the next failure is a label on the container.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Any

import msgspec

from actors.api.clock import Millis, parse_time
from actors.nodelet.record import PodRecord
from actors.plugins.runtime.port import ContainerState, ContainerStatus, SandboxState

POD_UID_LABEL = "io.kubernetes.pod.uid"
POD_NAME_LABEL = "io.kubernetes.pod.name"
POD_NAMESPACE_LABEL = "io.kubernetes.pod.namespace"
CONTAINER_NAME_LABEL = "io.kubernetes.container.name"
BACKOFF_LABEL = "raypod.io/backoff-ms"
MESSAGE_POLICY_LABEL = "raypod.io/termination-message-policy"
#: The image as the pod named it then.
IMAGE_NAME_LABEL = "raypod.io/image"
IMAGE_LABEL = "raypod.io/image-id"
CONTAINER_ID_PREFIX = "raypod://"
EXIT_CODE_UNKNOWN = 137
#: Of a pod's status.
STATUS_LISTS = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
_UNKNOWN_END = {
    "exitCode": EXIT_CODE_UNKNOWN,
    "reason": "ContainerStatusUnknown",
    "message": "The container is no longer known on the node, so its exit code is unknown.",
}


class AttemptState(StrEnum):
    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"
    VOID = "void"  # created in a sandbox that died before the container was started: it never ran


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """`backoff_ms`: how long to wait after its end. `image_id` as in `containerStatuses[].imageID`, `image_name` as in
    the pod at that time ("" when nobody remembers)."""

    number: int
    state: AttemptState
    container_id: str
    sandbox_id: str = ""
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    started_ms: Millis = 0
    finished_ms: Millis = 0
    image_id: str = ""
    image_name: str = ""
    backoff_ms: Millis = 0

    @property
    def is_running(self) -> bool:
        return self.state == AttemptState.RUNNING

    @property
    def has_exited(self) -> bool:
        return self.state == AttemptState.EXITED

    @property
    def ran_ms(self) -> Millis:
        """0 for one that could not be started: it has an end and no beginning."""
        return self.finished_ms - self.started_ms if self.started_ms else 0

    @property
    def has_failed(self) -> bool:
        return self.has_exited and self.exit_code != 0


def derive_sandbox_id(pod_uid: str, attempt: int) -> str:
    return _digest("sandbox", pod_uid, str(attempt))


def derive_container_id(pod_uid: str, name: str, attempt: int) -> str:
    return _digest("container", pod_uid, name, str(attempt))


def latest_attempt(record: PodRecord, name: str) -> Attempt | None:
    seen = record.attempts(name)
    return _from_runtime(record, seen[-1]) if seen else _from_status(find_status(record.status, name))


def shown_attempts(record: PodRecord, name: str) -> tuple[Attempt | None, Attempt | None]:
    """The latest attempt that was started, and the one before it: what users are told of. One that is merely created
    is not worth a write to the store."""
    seen = [_from_runtime(record, status) for status in record.attempts(name)]
    started = [attempt for attempt in seen if attempt.is_running or attempt.has_exited]
    latest = started[-1] if started else _from_status(find_status(record.status, name))
    return latest, started[-2] if len(started) > 1 else None


def find_status(status: dict[str, Any], name: str) -> dict[str, Any] | None:
    """The entry of container `name` in a stored pod status, whichever list it is in."""
    return next((entry for key in STATUS_LISTS for entry in status.get(key) or () if entry.get("name") == name), None)


def _digest(*parts: str) -> str:
    return hashlib.sha256("/".join(parts).encode()).hexdigest()


def _from_runtime(record: PodRecord, seen: ContainerStatus) -> Attempt:
    labels = seen.spec.labels
    return Attempt(
        number=seen.spec.attempt,
        state=_state_of(record, seen),
        container_id=seen.spec.id,
        sandbox_id=seen.spec.sandbox_id,
        exit_code=seen.exit_code,
        reason=seen.reason,
        message=seen.message,
        started_ms=seen.started_at_ms,
        finished_ms=seen.finished_at_ms,
        image_id=labels.get(IMAGE_LABEL, seen.spec.image),
        image_name=labels.get(IMAGE_NAME_LABEL, ""),
        backoff_ms=int(labels.get(BACKOFF_LABEL, "0")),
    )


def _state_of(record: PodRecord, seen: ContainerStatus) -> AttemptState:
    match seen.state:
        case ContainerState.EXITED:
            return AttemptState.EXITED
        case ContainerState.CREATED:
            home = record.sandboxes.get(seen.spec.sandbox_id)
            alive = home is not None and home.state == SandboxState.READY
            return AttemptState.CREATED if alive else AttemptState.VOID
        case _:
            return AttemptState.RUNNING  # UNKNOWN, too: what may run is not started a second time


def _from_status(entry: dict[str, Any] | None) -> Attempt | None:
    """The runtime knows nothing of it. One that the store last saw running is lost: its exit code is unknown."""
    if entry is None or not entry.get("containerID"):
        return None
    state, last = entry.get("state") or {}, entry.get("lastState") or {}
    ended = state.get("terminated") or (last.get("terminated") if "waiting" in state else None)
    if ended is None:
        ended = {**_UNKNOWN_END, "startedAt": (state.get("running") or {}).get("startedAt")}
    started_ms = _millis(ended.get("startedAt"))
    return Attempt(
        number=int(entry.get("restartCount", 0)),
        state=AttemptState.EXITED,
        container_id=str(entry["containerID"]).removeprefix(CONTAINER_ID_PREFIX),
        image_id=str(entry.get("imageID", "")),
        exit_code=int(ended.get("exitCode", 0)),
        reason=ended.get("reason") or "",
        message=ended.get("message") or "",
        started_ms=started_ms,
        finished_ms=_millis(ended.get("finishedAt")) or started_ms,
    )


def _millis(text: str | None) -> Millis:
    return parse_time(text) if text else 0

"""A pod's status as the node sees it, as JSON for a patch: phase, conditions, container statuses. Pure.

Rules: kubelet's `generateAPIPodStatus` (pkg/kubelet/kubelet_pods.go). What does not change keeps its times, so a
nodelet that starts anew writes the very same status and therefore nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from actors.api.clock import Millis, format_time
from actors.api.meta import Condition
from actors.api.pod import Container, Pod, ResourceRequirements
from actors.api.quantity import parse_resource
from actors.api.text import shorten, shorten_bytes
from actors.nodelet.attempts import (
    CONTAINER_ID_PREFIX,
    EXIT_CODE_UNKNOWN,
    Attempt,
    find_status,
    latest_attempt,
    shown_attempts,
)
from actors.nodelet.lifecycle import Stage, pending_init
from actors.nodelet.record import (
    TERMINAL_PHASES,
    PodRecord,
    all_containers,
    ephemeral_containers,
    every_container,
    init_containers,
    is_sidecar,
    main_containers,
)
from actors.nodelet.resize import actual_size, is_resizing, running_of
from actors.nodelet.spec import NodeView
from actors.nodelet.termination import Stop
from actors.nodelet.waiting import crash_loop, derive_waiting
from actors.reconcile.conditions import condition

JSON = dict[str, Any]

PENDING, IN_PROGRESS = "PodResizePending", "PodResizeInProgress"
#: Conditions that go away again.
RESIZE_CONDITIONS = (PENDING, IN_PROGRESS)


def derive_status(record: PodRecord, pod: Pod, node: NodeView, stage: Stage, stop: Stop | None, now: Millis) -> JSON:
    """The whole status. Its terminal phases come only when nothing of the pod runs any more."""
    ended = stop is not None and stage in (Stage.CLEANING, Stage.GONE)
    statuses = {c.name: _container_status(record, pod, c, node, ended, now) for c in every_container(pod)}
    phase = _derive_phase(record, pod, statuses, stop, ended)
    addresses = _addresses(record, pod, node)
    status: JSON = {
        "phase": phase,
        "observedGeneration": pod.metadata.generation,
        "conditions": _conditions(record, pod, statuses, phase, now),
        "hostIP": node.facts.address,
        "hostIPs": [{"ip": node.facts.address}],
        "qosClass": derive_qos_class(pod),
    }
    if record.refusal is None:  # else there never will be a container, and kubectl shows the reason instead
        status["containerStatuses"] = [statuses[c.name] for c in main_containers(pod)]
    if record.started_ms:
        status["startTime"] = format_time(record.started_ms)
    if addresses:
        status |= {"podIP": addresses[0], "podIPs": [{"ip": address} for address in addresses]}
    if init_containers(pod) and record.refusal is None:
        status["initContainerStatuses"] = [statuses[c.name] for c in init_containers(pod)]
    if ephemeral_containers(pod) and record.refusal is None:
        status["ephemeralContainerStatuses"] = [_unready(statuses[c.name]) for c in ephemeral_containers(pod)]
    if ended and stop is not None and stop.fails:
        status |= {"reason": stop.reason, "message": shorten(stop.message)}
    return status


def derive_patch(old: JSON, new: JSON) -> JSON:
    """The strategic merge patch from the stored status to `new`; {} when they agree. Others' conditions stay."""
    patch = {key: value for key, value in new.items() if key != "conditions" and old.get(key) != value}
    known = {entry.get("type"): entry for entry in old.get("conditions") or ()}
    conditions = [entry for entry in new["conditions"] if not _agrees(known.get(entry["type"]), entry)]
    over = {*RESIZE_CONDITIONS} & known.keys() - {entry["type"] for entry in new["conditions"]}
    if conditions or over:
        changed = [{key: value or None for key, value in entry.items()} for entry in conditions]
        patch["conditions"] = [*changed, *({"$patch": "delete", "type": type_} for type_ in sorted(over))]
    if "podIPs" in patch and old.get("podIPs"):
        patch["podIPs"] = [{"$patch": "replace"}, *new["podIPs"]]
    return patch


def derive_qos_class(pod: Pod) -> str:
    """Guaranteed: cpu and memory limited and equal to the request everywhere; BestEffort: neither anywhere."""
    any_set, guaranteed = False, True
    for container in all_containers(pod):
        limits, requests = container.resources.limits or {}, container.resources.requests or {}
        for name in ("cpu", "memory"):
            limit = parse_resource(name, limits.get(name, 0))
            request = parse_resource(name, requests.get(name, limits.get(name, 0)))
            any_set = any_set or bool(limit or request)
            guaranteed = guaranteed and bool(limit) and limit == request
    return "Guaranteed" if guaranteed else "Burstable" if any_set else "BestEffort"


def _agrees(old: JSON | None, new: JSON) -> bool:
    return old is not None and all((old.get(key) or "") == (value or "") for key, value in new.items())


def _derive_phase(record: PodRecord, pod: Pod, statuses: dict[str, JSON], stop: Stop | None, ended: bool) -> str:
    if record.is_terminal:
        return str(record.status["phase"])
    if ended and stop is not None:
        return "Succeeded" if not stop.fails and _all_zero(pod, statuses) else "Failed"
    if any(_never_ran(statuses[c.name]) for c in main_containers(pod)):
        return "Pending"
    return "Running"


def _all_zero(pod: Pod, statuses: dict[str, JSON]) -> bool:
    """Did every container run and end with 0?"""
    ends = (statuses[c.name]["state"].get("terminated") for c in main_containers(pod))
    return all(end is not None and end["exitCode"] == 0 for end in ends)


def _never_ran(status: JSON) -> bool:
    return "waiting" in status["state"] and not status["lastState"]


def _container_status(
    record: PodRecord, pod: Pod, container: Container, node: NodeView, ended: bool, now: Millis
) -> JSON:
    attempt, previous = shown_attempts(record, container.name)
    told = find_status(record.status, container.name) if record.is_terminal else None
    if told is not None and (attempt is None or "terminated" in (told.get("state") or {})):
        return told  # how a pod ended stays, though its node forgets one run after the other
    status: JSON = {"name": container.name, "image": container.image, "imageID": "", "restartCount": 0}
    status |= _sizes(record, container) if container not in ephemeral_containers(pod) else {}
    status |= {"ready": False, "started": False, "lastState": {}}
    if attempt is None:
        return status | {"state": _not_started(record, pod, container, node, ended, now)}
    status |= {
        "containerID": CONTAINER_ID_PREFIX + attempt.container_id,
        "imageID": attempt.image_id,
        "restartCount": attempt.number,
        "lastState": _last_state(record, attempt, previous, container.name),
    }
    if attempt.is_running:
        return status | {"ready": True, "started": True, "state": {"running": _started(attempt)}}
    loop = None if ended else crash_loop(record, pod, container, attempt, node, now)
    if loop is not None:
        state = {"waiting": {"reason": loop.reason, "message": loop.message}}
        return status | {"state": state, "lastState": {"terminated": _terminated(attempt)}}
    ready = attempt.exit_code == 0 and container in init_containers(pod) and not is_sidecar(container)
    return status | {"ready": ready, "state": {"terminated": _terminated(attempt)}}


def _sizes(record: PodRecord, container: Container) -> JSON:
    """What is allocated, and what it has; one that does not run will have what is allocated."""
    running = running_of(record, container.name)
    actual = actual_size(running) if running is not None else None
    told: JSON = {"resources": _as_json(actual or container.resources)}
    if container.resources.requests:
        told["allocatedResources"] = dict(container.resources.requests)
    return told


def _as_json(resources: ResourceRequirements) -> JSON:
    sections = {"limits": resources.limits, "requests": resources.requests}
    return {name: dict(amounts) for name, amounts in sections.items() if amounts}


def _unready(status: JSON) -> JSON:
    """Of an ephemeral container nobody asks whether it is ready."""
    return {key: value for key, value in status.items() if key != "started"} | {"ready": False}


def _not_started(record: PodRecord, pod: Pod, container: Container, node: NodeView, ended: bool, now: Millis) -> JSON:
    """After the end of a pod that had begun its work, a container that never ran counts as failed."""
    if ended and any(latest_attempt(record, c.name) for c in all_containers(pod)) and record.refusal is None:
        message = "The container was not started before the pod was stopped"
        return {"terminated": {"exitCode": EXIT_CODE_UNKNOWN, "reason": "ContainerStatusUnknown", "message": message}}
    waiting = derive_waiting(record, pod, container, node, now)
    message = shorten(waiting.message)
    return {"waiting": {"reason": waiting.reason} | ({"message": message} if message else {})}


def _last_state(record: PodRecord, latest: Attempt, previous: Attempt | None, name: str) -> JSON:
    if previous is not None and previous.has_exited:
        return {"terminated": _terminated(previous)}
    entry = find_status(record.status, name) or {}
    if entry.get("restartCount") == latest.number:
        last = entry.get("lastState") or {}
        return {} if last.get("terminated", {}).get("containerID") == _full_id(latest) else last
    ended = (entry.get("state") or {}).get("terminated")
    return {"terminated": ended} if ended else entry.get("lastState") or {}


def _started(attempt: Attempt) -> JSON:
    return {"startedAt": format_time(attempt.started_ms)}


def _terminated(attempt: Attempt) -> JSON:
    end: JSON = {
        "exitCode": attempt.exit_code,
        "reason": attempt.reason or ("Completed" if attempt.exit_code == 0 else "Error"),
        "containerID": _full_id(attempt),
    }
    if attempt.started_ms:
        end["startedAt"] = format_time(attempt.started_ms)
    if attempt.finished_ms:
        end["finishedAt"] = format_time(attempt.finished_ms)
    return end | ({"message": shorten_bytes(attempt.message)} if attempt.message else {})


def _full_id(attempt: Attempt) -> str:
    return CONTAINER_ID_PREFIX + attempt.container_id


def _addresses(record: PodRecord, pod: Pod, node: NodeView) -> tuple[str, ...]:
    """The last known one stays in the status when the sandbox is gone."""
    sandbox = record.sandbox
    if pod.spec.host_network:
        return (node.facts.address,) if sandbox else ()
    return sandbox.ips if sandbox else ()


def _conditions(record: PodRecord, pod: Pod, statuses: dict[str, JSON], phase: str, now: Millis) -> list[JSON]:
    known = {entry.get("type"): entry for entry in record.status.get("conditions") or ()}
    conditions = [
        condition("PodReadyToStartContainers", record.ready_sandbox is not None, "", "", now),
        _initialized(record, pod, phase, known.get("Initialized"), now),
        *_ready_conditions(record, pod, statuses, phase, now),
        condition("PodScheduled", True, "", "", now),
        *_resize_conditions(record, pod, phase, now),
    ]
    for entry in conditions:
        entry.setdefault("observedGeneration", pod.metadata.generation)
    return [_keep_time(known.get(entry["type"]), entry) for entry in conditions]


def _resize_conditions(record: PodRecord, pod: Pod, phase: str, now: Millis) -> Iterator[JSON]:
    """Only while there is something to tell (KEP-1287)."""
    if phase in TERMINAL_PHASES:
        return
    pending = record.resize_pending
    if pending is not None:
        told = condition(PENDING, True, pending.reason, pending.message, now)
        yield told | {"observedGeneration": pending.generation}
    if is_resizing(record, pod):
        slots = (f"resize/{container.name}" for container in all_containers(pod))
        failure = next((record.retries[slot].failure for slot in slots if slot in record.retries), None)
        reason, message = ("Error", failure.message) if failure is not None else ("", "")
        yield condition(IN_PROGRESS, True, reason, message, now)


def _initialized(record: PodRecord, pod: Pod, phase: str, known: JSON | None, now: Millis) -> JSON:
    """What was true at the end of a pod stays, though its containers are forgotten."""
    if record.is_terminal and known is not None:
        return known
    waiting = [] if phase == "Succeeded" else [c.name for c in pending_init(record, pod)]
    if not waiting:
        return condition("Initialized", True, "", "", now)
    message = f"containers with incomplete status: [{' '.join(waiting)}]"
    return condition("Initialized", False, "ContainersNotInitialized", message, now)


def _ready_conditions(
    record: PodRecord, pod: Pod, statuses: dict[str, JSON], phase: str, now: Millis
) -> tuple[JSON, JSON]:
    """Ready and ContainersReady: without probes a container is ready when it runs; Ready also asks the gates."""
    unready = [c.name for c in main_containers(pod) if not statuses[c.name]["ready"]]
    reason, message = "", ""
    if phase in TERMINAL_PHASES:
        reason = "PodCompleted" if phase == "Succeeded" else "PodFailed"
    elif unready:
        reason, message = "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]"
    containers = condition("ContainersReady", not reason, reason, message, now)
    gates = _closed_gates(pod)
    if gates and not reason:
        reason, message = "ReadinessGatesNotReady", f"the readiness gates [{' '.join(gates)}] are not True"
    return condition("Ready", not reason, reason, message, now), containers


def _closed_gates(pod: Pod) -> list[str]:
    gates = [gate.condition_type for gate in pod.spec.readiness_gates or ()]
    known: tuple[Condition, ...] = pod.status.conditions or ()
    return [gate for gate in gates if not any(c.type == gate and c.status == "True" for c in known)]


def _keep_time(old: JSON | None, new: JSON) -> JSON:
    if old is None or old.get("status") != new["status"]:
        return new
    return new | {"lastTransitionTime": old.get("lastTransitionTime")}

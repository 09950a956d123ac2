"""What is special about pods: bound once, their spec nearly frozen, deleted with a grace period that only shrinks."""

from __future__ import annotations

from typing import Any

from actors.api.clock import Millis, format_time
from actors.api.codec import Object
from actors.api.defaulting import qos_class
from actors.api.errors import BadRequest, Cause
from actors.api.key import Stored
from actors.api.kinds import Kind
from actors.api.validation.causes import dicts_of
from actors.store.admission import refusals

_DEFAULT_GRACE_SECONDS = 30
_FROZEN = (
    "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
    "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def bound(old: Object, patch: Any, stored: Stored, kind: Kind, now: Millis) -> Object:
    """The pod on the node that the patch names. Raises Conflict when it is on another, or going away.

    Only `spec.nodeName`, annotations and labels of the patch count; repeating a bind changes nothing.
    """
    node, annotations, labels = _read_binding(patch)
    name, spec = stored.key.name, old.get("spec") or {}
    if "deletionTimestamp" in old["metadata"]:
        raise refusals.conflict(
            kind, stored.key, f"pod {name} is being deleted, cannot be assigned to a host", "binding"
        )
    if assigned := spec.get("nodeName"):
        if assigned == node:
            return {**old, "metadata": dict(old["metadata"])}
        why = f'pod {name} is already assigned to node "{assigned}"'
        raise refusals.conflict(kind, stored.key, why, "binding")
    if spec.get("schedulingGates"):
        raise refusals.conflict(kind, stored.key, f"pod {name} has non-empty .spec.schedulingGates", "binding")
    metadata = dict(old["metadata"])
    for field, added in (("annotations", annotations), ("labels", labels)):
        if added:
            metadata[field] = {**(metadata.get(field) or {}), **added}
    status = {**(old.get("status") or {}), "conditions": _scheduled(old, now)}
    return {**old, "metadata": metadata, "spec": {**spec, "nodeName": node}, "status": status}


def _read_binding(patch: Any) -> tuple[str, dict[str, str], dict[str, str]]:
    try:
        node, metadata = patch["spec"]["nodeName"], patch.get("metadata") or {}
        annotations, labels = dict(metadata.get("annotations") or {}), dict(metadata.get("labels") or {})
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise BadRequest("a binding needs spec.nodeName") from error
    if not isinstance(node, str) or not node:
        raise BadRequest("a binding needs spec.nodeName")
    return node, annotations, labels


def _scheduled(pod: Object, now: Millis) -> list[Object]:
    conditions = [c for c in (pod.get("status") or {}).get("conditions") or () if c.get("type") != "PodScheduled"]
    return [*conditions, {"type": "PodScheduled", "status": "True", "lastTransitionTime": format_time(now)}]


def find_frozen_fields(old: Object, new: Object) -> list[Cause]:
    """What a main-resource update may not change in a pod's spec, beside what `validate_pod` finds."""
    before, after = old.get("spec") or {}, new.get("spec") or {}
    causes = []
    if before.get("nodeName") != after.get("nodeName") or _grace_differs(before, after) or _has_new_gate(before, after):
        causes.append(Cause("spec", _FROZEN, "FieldValueForbidden"))
    deadline, wanted = before.get("activeDeadlineSeconds"), after.get("activeDeadlineSeconds")
    if deadline is not None and not (isinstance(wanted, int) and wanted <= deadline):
        message = f"Invalid value: {wanted}: must be less than or equal to previous value"
        causes.append(Cause("spec.activeDeadlineSeconds", message))
    return causes


def _grace_differs(before: Object, after: Object) -> bool:
    old, new = before.get("terminationGracePeriodSeconds"), after.get("terminationGracePeriodSeconds")
    return old != new and not (isinstance(old, int) and old < 0 and new == 1)


def _has_new_gate(before: Object, after: Object) -> bool:
    gates = before.get("schedulingGates") or []
    return any(gate not in gates for gate in after.get("schedulingGates") or [])


def with_ephemeral_containers(old: Object, new: Object) -> Object:
    rest = {name: value for name, value in old.items() if name != "ephemeralContainers"}
    wanted = new.get("ephemeralContainers")
    return {**rest, "ephemeralContainers": wanted} if wanted else rest


def with_resources(old: Object, new: Object) -> Object:
    """The old spec with what the new one says of the resources of its containers, found by name."""
    changed = dict(old)
    for kind in ("initContainers", "containers"):
        wanted = {container.get("name"): container for container in dicts_of(new.get(kind))}
        if kind in old:
            changed[kind] = [_resized(c, wanted.get(c.get("name"), c)) for c in dicts_of(old[kind])]
    return changed


def _resized(container: Object, wanted: Object) -> Object:
    names = ("resources", "resizePolicy")
    rest = {name: value for name, value in container.items() if name not in names}
    return {**rest, **{name: wanted[name] for name in names if name in wanted}}


def with_qos_class(pod: Object) -> Object:
    """Its class follows from the resources that it has been given by now."""
    found = qos_class(pod["spec"])
    return pod if pod["status"].get("qosClass") == found else {**pod, "status": {**pod["status"], "qosClass": found}}


def with_gates_told(pod: Object) -> Object:
    """A new pod that waits at its gates says so from the start (applySchedulingGatedCondition), in the words that the
    scheduler has for it: nobody needs to write them later."""
    gates, conditions = pod["spec"].get("schedulingGates"), pod["status"].get("conditions") or []
    if not gates or any(condition.get("type") == "PodScheduled" for condition in conditions):
        return pod
    message = f"waiting for scheduling gates: [{' '.join(str(gate.get('name', '')) for gate in gates)}]"
    told = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": message}
    told["lastTransitionTime"] = pod["metadata"]["creationTimestamp"]
    return {**pod, "status": {**pod["status"], "conditions": [*conditions, told]}}


def plan_grace_seconds(pod: Object, requested: int | None) -> int:
    """How long a pod may take to end: not at all when it is on no node or has finished."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    if not spec.get("nodeName") or status.get("phase") in ("Succeeded", "Failed"):
        return 0
    grace = spec.get("terminationGracePeriodSeconds", _DEFAULT_GRACE_SECONDS) if requested is None else requested
    return 1 if grace < 0 else int(grace)

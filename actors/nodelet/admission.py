"""The node's own last word: does a bound pod fit beside those it runs already? Pure.

The scheduler decided on what it knew; two of them, or a pod that was created with a node name, may have over-committed
the node. A refused pod fails with kubelet's reasons and is replaced elsewhere by its controller.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from actors.api.pod import DEVICES_ANNOTATION, Pod
from actors.nodelet.facts import NodeFacts
from actors.nodelet.record import Refusal, all_containers
from actors.nodelet.resources import Amounts, container_requests, pod_requests, sum_requests
from actors.nodelet.sysctls import FORBIDDEN_REASON, find_forbidden
from actors.nodelet.unsupported import refused_fields, uses_apparmor

Assignments = dict[str, dict[str, tuple[str, ...]]]


def find_refusal(
    pod: Pod,
    obj: Mapping[str, Any],
    running: Iterable[Pod],
    allocatable: Amounts,
    facts: NodeFacts,
    unsafe_sysctls: tuple[str, ...] = (),
) -> Refusal | None:
    """None: it may run. `running` are the pods admitted before, `obj` is the pod as JSON."""
    others = list(running)
    fields = refused_fields(dict(obj))
    if fields:
        message = f"Pod was rejected: raypod does not support {', '.join(fields)}; remove these fields"
        return Refusal("UnsupportedField", message)
    if forbidden := find_forbidden(pod, unsafe_sysctls):
        return Refusal(FORBIDDEN_REASON, f"Pod was rejected: {forbidden}")
    if uses_apparmor(obj):
        return Refusal("AppArmor", "Pod was rejected: Cannot enforce AppArmor: AppArmor is not enabled on the host")
    return _lack(pod, others, allocatable) or _device_fault(pod, others, facts)


def device_assignments(pod: Pod) -> Assignments:
    """`{container: {resource: ids}}` as the scheduler wrote it. Raises ValueError when it is no such thing."""
    text = pod.metadata.annotation(DEVICES_ANNOTATION)
    if not text:
        return {}
    try:
        return msgspec.json.decode(text.encode(), type=Assignments)
    except msgspec.DecodeError as error:
        raise ValueError(f"annotation {DEVICES_ANNOTATION}: {error}") from error


def device_ids(pod: Pod, container: str) -> tuple[str, ...]:
    """The devices of one container, of a pod that was admitted."""
    try:
        assigned = device_assignments(pod).get(container, {})
    except ValueError:
        return ()
    return tuple(sorted(device for ids in assigned.values() for device in ids))


def _lack(pod: Pod, others: list[Pod], allocatable: Amounts) -> Refusal | None:
    used = sum_requests(others)
    for name, asked in sorted(pod_requests(pod).items()):
        total = allocatable.get(name, 0)
        if asked and used.get(name, 0) + asked > total:
            message = (
                f"Pod was rejected: Node didn't have enough resource: {name}, requested: {asked}, "
                f"used: {used.get(name, 0)}, capacity: {total}"
            )
            return Refusal(f"OutOf{name}", message)
    return None


def _device_fault(pod: Pod, others: list[Pod], facts: NodeFacts) -> Refusal | None:
    try:
        fault = next(_device_faults(pod, others, facts), None)
    except ValueError as error:
        fault = str(error)
    return Refusal("UnexpectedAdmissionError", f"Pod was rejected: {fault}") if fault else None


def _device_faults(pod: Pod, others: list[Pod], facts: NodeFacts) -> Iterator[str]:
    """Each container must have exactly the healthy, free devices of this node that it asks for."""
    present = {device.id: device for device in facts.devices}
    offered = {device.resource for device in facts.devices}
    taken = {device for other in others for c in all_containers(other) for device in device_ids(other, c.name)}
    assigned = device_assignments(pod)
    for container in all_containers(pod):
        for resource, count in container_requests(container).items():
            ids = assigned.get(container.name, {}).get(resource, ())
            if resource in offered and len(set(ids)) != count:
                yield (
                    f"container {container.name} asks for {count} {resource} and was assigned {len(ids)}: "
                    "let raypod's scheduler place the pod"
                )
    for device in (device for c in all_containers(pod) for device in device_ids(pod, c.name)):
        if device not in present:
            yield f"device {device} is not on this node"
        elif not present[device].healthy:
            yield f"device {device} is unhealthy: {present[device].reason}"
        elif device in taken:
            yield f"device {device} is in use by another pod"

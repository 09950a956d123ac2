"""In-place resize (KEP-1287): from what a pod asks for to what its containers have. Pure.

desired     the pod's spec, as the store has it
allocated   what this node has agreed to: it counts against the node, and a new container gets it
actual      what a running container has: a label on it, changed together with its limits

A nodelet that starts anew reads what was allocated from the pod's status, and decides again about the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from actors.api.pod import Container, Pod, ResourceRequirements
from actors.api.quantity import Quantity, parse_resource
from actors.nodelet.attempts import find_status
from actors.nodelet.record import PodRecord, ResizePending, Sizes, all_containers
from actors.nodelet.resources import pod_requests, sum_requests
from actors.plugins.runtime.port import ContainerState, ContainerStatus

#: On a container: the requests and limits that it has, as JSON.
RESOURCES_LABEL = "raypod.io/resources"
DEFERRED, INFEASIBLE = "Deferred", "Infeasible"
_RESIZED = ("cpu", "memory")

Amounts = Mapping[str, int]


def sizes_of(pod: Pod) -> Sizes:
    return {container.name: container.resources for container in all_containers(pod)}


def first_sizes(pod: Pod, status: Mapping[str, Any]) -> Sizes:
    """What was allocated, as the status tells; of a pod without a status: what it asks for."""
    sizes = sizes_of(pod)
    for name in sizes:
        entry = find_status(dict(status), name) or {}
        told, requests = entry.get("resources"), entry.get("allocatedResources")
        if told is not None or requests is not None:
            actual = told or {}
            asked = requests if requests is not None else actual.get("requests")
            sizes[name] = ResourceRequirements(requests=asked or None, limits=actual.get("limits") or None)
    return sizes


def with_sizes(pod: Pod, sizes: Sizes) -> Pod:
    """The pod as the node carries it out; the very same one where that is what it asks for."""
    if all(is_same(container.resources, sizes.get(container.name)) for container in all_containers(pod)):
        return pod
    spec = pod.spec

    def sized(containers: Iterable[Container]) -> tuple[Container, ...]:
        return tuple(msgspec.structs.replace(c, resources=sizes.get(c.name, c.resources)) for c in containers)

    init = None if spec.init_containers is None else sized(spec.init_containers)
    spec = msgspec.structs.replace(spec, containers=sized(spec.containers), init_containers=init)
    return msgspec.structs.replace(pod, spec=spec)


def find_obstacle(wanted: Pod, present: Pod, others: Iterable[Pod], allocatable: Amounts) -> ResizePending | None:
    """Why the node cannot give what `wanted` asks for beyond what `present` has: never, or not now (kubelet's
    canResizePod)."""
    asked, held, used = pod_requests(wanted), pod_requests(present), sum_requests(others)
    deferred = None
    for name in _RESIZED:
        amount, total = asked.get(name, 0), allocatable.get(name, 0)
        if amount <= held.get(name, 0):
            continue
        if amount > total:
            words = f"Node didn't have enough capacity: {name}, requested: {amount}, capacity: {total}"
            return ResizePending(INFEASIBLE, words, wanted.metadata.generation)
        if used.get(name, 0) + amount > total:
            words = (
                f"Node didn't have enough resource: {name}, requested: {amount}, used: {used.get(name, 0)}, "
                f"capacity: {total}"
            )
            deferred = deferred or ResizePending(DEFERRED, words, wanted.metadata.generation)
    return deferred


def actual_size(status: ContainerStatus) -> ResourceRequirements | None:
    """None of a container that was made before there were labels for it."""
    text = status.spec.labels.get(RESOURCES_LABEL)
    return None if text is None else msgspec.json.decode(text, type=ResourceRequirements)


def format_size(resources: ResourceRequirements) -> str:
    return msgspec.json.encode(resources).decode()


def running_of(record: PodRecord, name: str) -> ContainerStatus | None:
    """The container's present run."""
    attempts = record.attempts(name)
    return attempts[-1] if attempts and attempts[-1].state is ContainerState.RUNNING else None


def is_unsized(record: PodRecord, container: Container) -> bool:
    """Does it run with something else than what is allocated to it, or is it being started anew for that?"""
    attempts = record.attempts(container.name)
    if attempts and attempts[-1].spec.id in record.restarting:
        return True
    running = running_of(record, container.name)
    actual = actual_size(running) if running is not None else None
    return actual is not None and not is_same(actual, container.resources)


def is_resizing(record: PodRecord, pod: Pod) -> bool:
    return any(is_unsized(record, container) for container in all_containers(pod))


def needs_restart(container: Container, actual: ResourceRequirements) -> bool:
    """Does a changed limit, or CPU request, come with the policy RestartContainer?"""
    old, new = _amounts(actual), _amounts(container.resources)
    changed = {name for name in _RESIZED if old.get(("limits", name)) != new.get(("limits", name))}
    if old.get(("requests", "cpu")) != new.get(("requests", "cpu")):
        changed.add("cpu")
    policies = {policy.resource_name: policy.restart_policy for policy in container.resize_policy or ()}
    return any(policies.get(name) == "RestartContainer" for name in changed)


def is_same(one: ResourceRequirements, other: ResourceRequirements | None) -> bool:
    """The same amounts, however they are written."""
    return one == other or (other is not None and _amounts(one) == _amounts(other))


def _amounts(resources: ResourceRequirements) -> dict[tuple[str, str], int]:
    sections: tuple[tuple[str, dict[str, Quantity] | None], ...] = (
        ("requests", resources.requests),
        ("limits", resources.limits),
    )
    return {(key, name): parse_resource(name, q) for key, section in sections for name, q in (section or {}).items()}

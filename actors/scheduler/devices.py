"""Which very devices a pod gets on its node: whole ones, healthy ones, in the node's order, no id twice.

The bind carries them as the pod's annotation; the nodelet allocates exactly these.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from actors.scheduler.nodes import DeviceIds, Nodes
from actors.scheduler.shape import Shape

#: {container: {resource: ids}}
Assignment = Mapping[str, Mapping[str, tuple[str, ...]]]


def select_devices(shape: Shape, nodes: Nodes, row: int) -> Assignment:
    """For every container that asks for a resource whose devices the node lists.

    Containers that run together share no device; an init container gets ids that the later ones get after it.
    """
    assignment: dict[str, dict[str, tuple[str, ...]]] = {}
    for resource in shape.requests:
        free = nodes.free_devices(row, resource)
        if free is None:
            continue
        start = 0
        for container in shape.containers:
            count = container.requests.get(resource, 0)
            if count:
                assignment.setdefault(container.name, {})[resource] = free[start : start + count]
            start += 0 if container.passes_on else count
    return assignment


def taken_by(assignment: Assignment) -> DeviceIds:
    """The ids that the node must not give to another pod."""
    taken: dict[str, dict[str, None]] = {}
    for resources in assignment.values():
        for resource, ids in resources.items():
            taken.setdefault(resource, {}).update(dict.fromkeys(ids))
    return {resource: tuple(ids) for resource, ids in taken.items()}


def format_assignment(assignment: Assignment) -> str:
    """As the pod annotation `raypod.io/devices` carries it."""
    return msgspec.json.encode(assignment, order="deterministic").decode()


def parse_assignment(text: str | None) -> Assignment:
    """Of a bound pod's annotation; one that cannot be read assigns nothing."""
    try:
        return msgspec.json.decode(text or "{}", type=dict[str, dict[str, tuple[str, ...]]])
    except msgspec.DecodeError:
        return {}

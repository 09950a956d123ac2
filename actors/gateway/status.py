"""`/raypod/v1/status`: nodes, GPUs, pods and the actors' health on one screen. Pure: derived from what is stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from actors.api.codec import Object, lens
from actors.api.key import Stored
from actors.api.node import NODE_DEVICES_ANNOTATION, Node
from actors.api.pod import GPU, Pod
from actors.api.quantity import parse_resource
from actors.gateway.port import ActorHealth
from actors.gateway.tables.nodes import status_word

_COUNTED = ("cpu", "memory", GPU)


def derive_status(nodes: Sequence[Stored], pods: Sequence[Stored], actors: Sequence[ActorHealth]) -> Object:
    """`{"nodes": [...], "pods": {phase: n}, "pending": [...], "actors": [...], "healthy": bool}`.

    Resources are integers: cpu in thousandths, memory in bytes, GPUs whole.
    """
    shown_pods = [lens(stored, Pod) for stored in pods]
    shown_nodes = [_node(lens(stored, Node), shown_pods) for stored in nodes]
    healthy = all(actor.alive for actor in actors) and all(node["ready"] for node in shown_nodes) and bool(nodes)
    return {
        "healthy": healthy,
        "nodes": shown_nodes,
        "pods": dict(sorted(Counter(pod.status.phase for pod in shown_pods).items())),
        "pending": [_pending(pod) for pod in shown_pods if pod.status.phase == "Pending" and not pod.spec.node_name],
        "actors": [msgspec.to_builtins(actor) for actor in actors],
    }


def _node(node: Node, pods: Iterable[Pod]) -> Object:
    here = [pod for pod in pods if pod.spec.node_name == node.metadata.name and not pod.is_finished]
    allocatable = node.status.allocatable or {}
    requested = [request for pod in here for request in _requests(pod)]
    address = next((a.address for a in node.status.addresses or () if a.type == "InternalIP"), "")
    return {
        "name": node.metadata.name,
        "ready": node.is_ready,
        "status": status_word(node),
        "address": address,
        "pods": len(here),
        "allocatable": {name: _count(name, allocatable.get(name, 0)) for name in _COUNTED},
        "requested": {name: sum(_count(name, r.get(name, 0)) for r in requested) for name in _COUNTED},
        "devices": _devices(node),
    }


def _requests(pod: Pod) -> list[dict[str, Any]]:
    """What each container asks for; a limit alone is a request too."""
    return [{**(c.resources.limits or {}), **(c.resources.requests or {})} for c in pod.spec.containers]


def _count(name: str, quantity: str | int | float) -> int:
    try:
        return parse_resource(name, quantity)
    except ValueError:
        return 0


def _devices(node: Node) -> Any:
    try:
        return msgspec.json.decode(node.metadata.annotation(NODE_DEVICES_ANNOTATION) or "{}")
    except msgspec.DecodeError:
        return {}


def _pending(pod: Pod) -> Object:
    scheduled = next((c for c in pod.status.conditions or () if c.type == "PodScheduled"), None)
    message = scheduled.message if scheduled else "not looked at by the scheduler yet"
    return {"namespace": pod.metadata.namespace, "name": pod.metadata.name, "message": message}

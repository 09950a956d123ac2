"""What the node has, what pods ask for, and what is left: integers, counted as `quantity.parse_resource` does. Pure.

CPU is millis, everything else whole units. What a nodelet offers is what it was told to hold (`NodeFacts`), less what
is reserved for the system.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from actors.api.pod import Container, Pod
from actors.api.quantity import format_bytes, format_millis, parse_resource
from actors.nodelet.config import NodeletConfig
from actors.nodelet.facts import NodeFacts
from actors.nodelet.record import init_containers, is_sidecar, main_containers

Amounts = Mapping[str, int]


def derive_capacity(facts: NodeFacts, config: NodeletConfig) -> dict[str, int]:
    """All there is. Devices count by resource name, the unhealthy too."""
    amounts = {
        "cpu": config.cpu_millis or facts.cpu_millis,
        "memory": config.memory_bytes or facts.memory_bytes,
        "ephemeral-storage": facts.storage_bytes,
        "pods": config.pods_max,
    }
    return amounts | Counter(device.resource for device in facts.devices)


def derive_allocatable(facts: NodeFacts, config: NodeletConfig) -> dict[str, int]:
    """What pods may use: less what is reserved, only healthy devices."""
    amounts = derive_capacity(facts, config)
    amounts["cpu"] = max(0, amounts["cpu"] - config.cpu_reserved_millis)
    amounts["memory"] = max(0, amounts["memory"] - config.memory_reserved_bytes)
    healthy = Counter(device.resource for device in facts.devices if device.healthy)
    return amounts | {resource: healthy[resource] for resource in {device.resource for device in facts.devices}}


def format_amounts(amounts: Amounts) -> dict[str, str]:
    """As in `status.capacity`."""
    return {name: _format(name, amount) for name, amount in sorted(amounts.items())}


def pod_requests(pod: Pod) -> dict[str, int]:
    """What the pod needs at its peak: its containers and sidecars, or the largest init container beside the sidecars
    that are up by then; plus overhead (KEP-753)."""
    total: Counter[str] = Counter()
    peak: Counter[str] = Counter()
    for container in init_containers(pod):
        requests = container_requests(container)
        if is_sidecar(container):
            total.update(requests)
        peak |= total if is_sidecar(container) else total + Counter(requests)
    for container in main_containers(pod):
        total.update(container_requests(container))
    amounts = (total | peak) + Counter({k: parse_resource(k, v) for k, v in (pod.spec.overhead or {}).items()})
    return dict(amounts) | {"pods": 1}


def container_requests(container: Container) -> dict[str, int]:
    """A limit without a request is the request."""
    resources = container.resources
    merged = {**(resources.limits or {}), **(resources.requests or {})}
    return {name: parse_resource(name, amount) for name, amount in merged.items()}


def sum_requests(pods: Iterable[Pod]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for pod in pods:
        total.update(pod_requests(pod))
    return dict(total)


def _format(name: str, amount: int) -> str:
    match name:
        case "cpu":
            return format_millis(amount)
        case "memory" | "ephemeral-storage":
            return f"{amount // 1024}Ki" if amount % 1024 == 0 and amount else format_bytes(amount)
        case _:
            return str(amount)

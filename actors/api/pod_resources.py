"""What a pod asks for and may use, over all of its containers (component-helpers resource.PodRequests, PodLimits).

Containers run side by side, init containers one after the other beside the restartable ones that began before them.
"""

from __future__ import annotations

from typing import Any

from actors.api.amount import Amounts, most, parse_amounts, total
from actors.api.codec import Object


def pod_requests(spec: Object, *, overhead: bool = True) -> Amounts:
    """`spec` as it is stored. Raises ValueError for what is no quantity."""
    found = _over_containers(spec, "requests")
    return total((found, parse_amounts(spec.get("overhead")))) if overhead else found


def pod_limits(spec: Object, *, overhead: bool = True) -> Amounts:
    """Overhead adds to what is limited at all."""
    found = _over_containers(spec, "limits")
    added = parse_amounts(spec.get("overhead")) if overhead else {}
    return total((found, {name: amount for name, amount in added.items() if name in found and found[name].nanos}))


def resources_of(container: Object, part: str) -> Amounts:
    """`part`: "requests" or "limits"."""
    return parse_amounts(_map_at(container.get("resources"), part))


def _over_containers(spec: Object, part: str) -> Amounts:
    found = total(resources_of(container, part) for container in spec.get("containers") or ())
    starting: Amounts = {}
    beside: Amounts = {}
    for container in spec.get("initContainers") or ():
        own = resources_of(container, part)
        if container.get("restartPolicy") == "Always":
            found, beside = total((found, own)), total((beside, own))
            starting = most(starting, beside)
        else:
            starting = most(starting, total((own, beside)))
    return {**most(found, starting), **parse_amounts(_map_at(spec.get("resources"), part))}


def _map_at(resources: Any, part: str) -> Any:
    return resources.get(part) if isinstance(resources, dict) else None

"""What the checks share: all containers of a pod, and the words for those that break a rule."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from actors.api.codec import Object


class Violation(NamedTuple):
    """`reason` alone is told of many pods, with `detail` of one."""

    reason: str
    detail: str


Containers = list[str]


def containers(spec: Object) -> Iterator[Object]:
    for field in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(field) or ()


def context_of(part: Object) -> Object:
    """A pod's or a container's."""
    return part.get("securityContext") or {}


def names_where(spec: Object, is_bad: Callable[[Object], Any]) -> Containers:
    """Of the containers that are."""
    return [container.get("name", "") for container in containers(spec) if is_bad(container)]


def quoted(items: Iterable[str]) -> str:
    return ", ".join(json.dumps(item) for item in items)


def plural(one: str, count: int, many: str = "") -> str:
    return one if count == 1 else many or f"{one}s"


def named(names: Sequence[str]) -> str:
    """`container "a"`, `containers "a", "b"`."""
    return f"{plural('container', len(names))} {quoted(names)}"


def setters(by_pod: bool, names: Sequence[str]) -> str:
    """`pod and containers "a", "b"`; "" for nobody."""
    return " and ".join([*(["pod"] if by_pod else []), *([named(names)] if names else [])])


def value_in(part: Object, *path: str) -> Any:
    found: Any = part
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found

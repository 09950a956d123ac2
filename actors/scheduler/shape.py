"""What scheduling reads of a pod. Pods whose requirements are equal share one `Shape` and are placed in one pass.

Requests follow Kubernetes: the sum over containers and sidecars, or the peak of the init phase when that is more,
plus overhead; each pod also asks for one of `pods`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from actors.api.key import Key
from actors.api.meta import Condition, Lens, Resource
from actors.api.pod import LocalReference, ResourceRequirements, Toleration
from actors.api.quantity import Quantity, parse_resource
from actors.api.selector import Requirement
from actors.reconcile.conditions import find_condition

CPU, MEMORY, EPHEMERAL, PODS = "cpu", "memory", "ephemeral-storage", "pods"

_COUNT_MAX = 1 << 50

#: From a resource's name and quantity to an integer.
Count = Callable[[str, Quantity], int]


class HostPort(Lens, frozen=True):
    host_port: int = 0
    protocol: str = "TCP"
    host_ip: str = msgspec.field(name="hostIP", default="")


class ShapeContainer(Lens, frozen=True):
    name: str
    resources: ResourceRequirements = ResourceRequirements()
    ports: tuple[HostPort, ...] | None = None
    restart_policy: str = ""


class ShapeSpec(Lens, frozen=True):
    """Everything that decides where a pod may go, and nothing else: its encoding is the shape's fingerprint."""

    containers: tuple[ShapeContainer, ...] = ()
    init_containers: tuple[ShapeContainer, ...] | None = None
    node_selector: dict[str, str] | None = None
    affinity: dict[str, Any] | None = None
    tolerations: tuple[Toleration, ...] | None = None
    overhead: dict[str, str | int | float] | None = None
    priority: int = 0
    scheduling_gates: tuple[LocalReference, ...] | None = None


class PodSpec(ShapeSpec, frozen=True):
    node_name: str = ""
    scheduler_name: str = "default-scheduler"


class SizedStatus(Lens, frozen=True):
    """What its node has allocated to a container, and what it has (KEP-1287)."""

    name: str
    allocated_resources: dict[str, str | int | float] | None = None
    resources: ResourceRequirements | None = None


class PodStatus(Lens, frozen=True):
    phase: str = "Pending"
    conditions: tuple[Condition, ...] | None = None
    container_statuses: tuple[SizedStatus, ...] | None = None
    init_container_statuses: tuple[SizedStatus, ...] | None = None


class Pod(Resource, frozen=True):
    """The scheduler's lens over core/v1 Pod."""

    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    @property
    def is_finished(self) -> bool:
        return self.status.phase in ("Succeeded", "Failed")

    @property
    def sized(self) -> PodSpec:
        """What a bound pod occupies: each container the most of what it asks for, is allocated and has; a size that
        its node can never give does not count (KEP-1287, k8s.io/component-helpers/resource)."""
        statuses = (*(self.status.init_container_statuses or ()), *(self.status.container_statuses or ()))
        given = {status.name: status for status in statuses}
        if all(_is_as_asked(container, given.get(container.name)) for container in self._every()):
            return self.spec
        told = find_condition(self.status.conditions, "PodResizePending")
        hopeless = told is not None and told.reason == "Infeasible"

        def largest(containers: Iterable[ShapeContainer]) -> tuple[ShapeContainer, ...]:
            return tuple(_largest(container, given.get(container.name), hopeless) for container in containers)

        init = None if self.spec.init_containers is None else largest(self.spec.init_containers)
        return msgspec.structs.replace(self.spec, containers=largest(self.spec.containers), init_containers=init)

    def _every(self) -> tuple[ShapeContainer, ...]:
        return (*(self.spec.init_containers or ()), *self.spec.containers)


def _is_as_asked(container: ShapeContainer, status: SizedStatus | None) -> bool:
    if status is None or (status.allocated_resources is None and status.resources is None):
        return True
    asked = container.resources.requests
    has = status.resources.requests if status.resources is not None else asked
    return asked == (status.allocated_resources or asked) == (has or asked)


def _largest(container: ShapeContainer, status: SizedStatus | None, hopeless: bool) -> ShapeContainer:
    if status is None:
        return container
    actual = (status.resources.requests if status.resources is not None else None) or {}
    given = [status.allocated_resources or {}, actual]
    asked = {**(container.resources.limits or {}), **(container.resources.requests or {})}
    sources = given if hopeless and any(given) else [asked, *given]
    most: dict[str, Quantity] = {}
    for source in sources:
        for name, quantity in source.items():
            if name not in most or parse_resource(name, quantity) > parse_resource(name, most[name]):
                most[name] = quantity
    resources = msgspec.structs.replace(container.resources, requests=most, limits=None)
    return msgspec.structs.replace(container, resources=resources)


class Term(msgspec.Struct, frozen=True):
    """A NodeSelectorTerm: all requirements on labels and on fields (`metadata.name`) must hold."""

    labels: tuple[Requirement, ...] = ()
    fields: tuple[Requirement, ...] = ()


class Asking(msgspec.Struct, frozen=True):
    """What one container asks for. `passes_on`: an init container, whose devices the later ones get after it."""

    name: str
    requests: dict[str, int]
    passes_on: bool = False


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """Requirements, parsed once for all pods that share them. `requests` counts as `quantity.parse_resource` does.

    `beyond`: the true amounts of what is more than can be summed, and so more than any node has; for messages.
    """

    fingerprint: bytes
    requests: dict[str, int]
    beyond: dict[str, int] = {}
    containers: tuple[Asking, ...] = ()
    priority: int = 0
    node_selector: tuple[Requirement, ...] = ()
    required: tuple[Term, ...] | None = None
    preferred: tuple[tuple[int, Term], ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    host_ports: tuple[HostPort, ...] = ()
    gates: tuple[str, ...] = ()
    error: str = ""  # why the requirements cannot be read; then there are none


class Pending(msgspec.Struct, frozen=True):
    """One pod that waits for a node. Order of service: higher priority first, then older, then key."""

    key: Key
    uid: str
    revision: int
    created_revision: int
    shape: Shape

    @property
    def order(self) -> tuple[int, int, Key]:
        return (-self.shape.priority, self.created_revision, self.key)


_FINGERPRINT = msgspec.msgpack.Encoder(order="deterministic")
_SHAPE_FIELDS = tuple(ShapeSpec.__struct_fields__)


def fingerprint(spec: PodSpec) -> bytes:
    return _FINGERPRINT.encode([getattr(spec, field) for field in _SHAPE_FIELDS])


def parse_shape(spec: PodSpec, print_: bytes | None = None) -> Shape:
    """Raises ValueError for a quantity that is none, and for an affinity term that Kubernetes would refuse."""
    affinity = (spec.affinity or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    preferred = affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
    every = (*(spec.init_containers or ()), *spec.containers)
    requests = _pod_requests(spec, count_of)
    return Shape(
        fingerprint=print_ if print_ is not None else fingerprint(spec),
        requests=requests,
        beyond=_find_beyond(spec, requests),
        containers=tuple(Asking(c.name, _requests(c, count_of), not _runs_on(c, spec)) for c in every),
        priority=spec.priority,
        node_selector=tuple(Requirement(k, "in", (v,)) for k, v in sorted((spec.node_selector or {}).items())),
        required=tuple(map(_parse_term, required.get("nodeSelectorTerms") or ())) if required else None,
        preferred=tuple((int(p["weight"]), _parse_term(p["preference"])) for p in preferred),
        tolerations=spec.tolerations or (),
        host_ports=tuple(port for c in every for port in c.ports or () if port.host_port and _runs_on(c, spec)),
        gates=tuple(gate.name for gate in spec.scheduling_gates or ()),
    )


class Shapes:
    """Parses each distinct shape once. Remembers the last `most` or so."""

    def __init__(self, most: int = 8192) -> None:
        self._most = most
        self._shapes: dict[bytes, Shape] = {}

    def of(self, spec: PodSpec) -> Shape:
        """Never raises: what cannot be read becomes a shape with an `error`."""
        print_ = fingerprint(spec)
        shape = self._shapes.get(print_)
        if shape is None:
            if len(self._shapes) >= self._most:
                self._shapes.clear()
            shape = self._shapes[print_] = self._parse(spec, print_)
        return shape

    @staticmethod
    def _parse(spec: PodSpec, print_: bytes) -> Shape:
        try:
            return parse_shape(spec, print_)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return Shape(fingerprint=print_, requests={PODS: 1}, priority=spec.priority, error=str(error))


def _runs_on(container: ShapeContainer, spec: PodSpec) -> bool:
    """Ports count for what runs as long as the pod does: containers and sidecars."""
    return container in spec.containers or container.restart_policy == "Always"


def _find_beyond(spec: PodSpec, requests: Mapping[str, int]) -> dict[str, int]:
    if max(requests.values()) < _COUNT_MAX:
        return {}
    return {name: count for name, count in _pod_requests(spec, parse_resource).items() if count > requests[name]}


def _requests(container: ShapeContainer, count: Count) -> dict[str, int]:
    """Requests; a limit stands in for a request that is not given."""
    asked = {**(container.resources.limits or {}), **(container.resources.requests or {})}
    return {name: count(name, quantity) for name, quantity in asked.items()}


def count_of(name: str, quantity: Quantity) -> int:
    """As `parse_resource`, within what sums over a node's pods in 64 bits can hold. Raises ValueError."""
    return min(max(parse_resource(name, quantity), 0), _COUNT_MAX)


def _pod_requests(spec: PodSpec, count: Count) -> dict[str, int]:
    sidecars: Counter[str] = Counter()
    peak: dict[str, int] = {}
    for container in spec.init_containers or ():
        asked = _requests(container, count)
        if container.restart_policy == "Always":
            sidecars.update(asked)
            _raise_to(peak, sidecars)
        else:
            _raise_to(peak, {name: sidecars[name] + asked.get(name, 0) for name in {*sidecars, *asked}})
    running = Counter(sidecars)
    for container in spec.containers:
        running.update(_requests(container, count))
    _raise_to(peak, running)
    for name, quantity in (spec.overhead or {}).items():
        peak[name] = peak.get(name, 0) + count(name, quantity)
    return {**{name: total for name, total in sorted(peak.items()) if total > 0}, PODS: 1}


def _raise_to(peak: dict[str, int], floor: Mapping[str, int]) -> None:
    for name, total in floor.items():
        peak[name] = max(peak.get(name, 0), total)


_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!", "Gt": "gt", "Lt": "lt"}


def _parse_term(term: dict[str, Any]) -> Term:
    return Term(_requirements(term.get("matchExpressions")), _requirements(term.get("matchFields")))


def _requirements(rows: Iterable[dict[str, Any]] | None) -> tuple[Requirement, ...]:
    try:
        return tuple(Requirement(r["key"], _OPERATORS[r["operator"]], tuple(r.get("values") or ())) for r in rows or ())
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"a node affinity term is malformed: {error}") from error

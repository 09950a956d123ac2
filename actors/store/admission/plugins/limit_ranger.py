"""LimitRanger: the LimitRanges of an API namespace, first as defaults, then as bounds; all that breaks one at once.

A container gets the limits and requests that it does not say; then containers, pods and claims are held to minimum,
maximum and ratio of limit to request (plugin/pkg/admission/limitranger).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar

from actors.api.amount import Amount, Amounts, parse_amounts
from actors.api.codec import Object, lens
from actors.api.kinds import POD
from actors.api.meta import Lens, Resource
from actors.api.pod_resources import pod_limits, pod_requests, resources_of
from actors.api.quantity import Quantity
from actors.store.admission.plugin import Operation, Plugin, Request
from actors.store.admission.pod import with_qos_class

ANNOTATION = "kubernetes.io/limit-ranger"
_Quantities = dict[str, Quantity]
_CONTAINERS = (("containers", "container"), ("initContainers", "init container"))


class _Item(Lens, frozen=True):
    type: str
    min: _Quantities | None = None
    max: _Quantities | None = None
    default: _Quantities | None = None
    default_request: _Quantities | None = None
    max_limit_request_ratio: _Quantities | None = None


class _Spec(Lens, frozen=True):
    limits: tuple[_Item, ...] | None = None


class _LimitRange(Resource, frozen=True):
    spec: _Spec = _Spec()


class LimitRanger(Plugin, frozen=True):
    resources: ClassVar[frozenset[str]] = frozenset({POD.resource, "persistentvolumeclaims"})
    operations: ClassVar[frozenset[Operation]] = frozenset({Operation.CREATE, Operation.UPDATE})
    subresources: ClassVar[frozenset[str]] = frozenset({"", "resize"})

    def mutate(self, request: Request, obj: Object) -> Object:
        if request.kind is not POD or request.operation is not Operation.CREATE:
            return obj
        told: list[str] = []
        for item in _items(request):
            if item.type == "Container" and (item.default or item.default_request):
                obj = {**obj, "spec": _with_defaults(obj["spec"], item, told)}
        return with_qos_class(_annotated(obj, told)) if told else obj

    def validate(self, request: Request, obj: Object) -> None:
        if request.kind is POD and request.operation is Operation.UPDATE and not request.subresource:
            return
        problems = dict.fromkeys(text for item in _items(request) for text in _problems(item, obj, request.kind is POD))
        if problems:
            listed = list(problems)
            raise request.forbidden(listed[0] if len(listed) == 1 else f"[{', '.join(listed)}]")


def _items(request: Request) -> Sequence[_Item]:
    """Of all LimitRanges of the namespace, in the order of their names."""
    found = request.context.scan("limitranges", request.key.namespace)
    ordered = sorted(found, key=lambda stored: stored.key) if found else ()
    return [item for stored in ordered for item in lens(stored, _LimitRange).spec.limits or ()]


# --- defaults ---------------------------------------------------------------------------------------------------


def _with_defaults(spec: Object, item: _Item, told: list[str]) -> Object:
    changed = dict(spec)
    for field, word in _CONTAINERS:
        if spec.get(field):
            changed[field] = [_filled(container, item, word, told) for container in spec[field]]
    return changed


def _filled(container: Object, item: _Item, word: str, told: list[str]) -> Object:
    resources = dict(container.get("resources") or {})
    for part, given in (("requests", item.default_request or {}), ("limits", item.default or {})):
        own = resources.get(part) or {}
        added = {name: quantity for name, quantity in given.items() if name not in own}
        if added:
            resources[part] = {**own, **added}
            told.append(f"{', '.join(sorted(added))} {part[:-1]} for {word} {container.get('name', '')}")
    return {**container, "resources": resources}


def _annotated(pod: Object, told: list[str]) -> Object:
    annotations = {
        **(pod["metadata"].get("annotations") or {}),
        ANNOTATION: f"LimitRanger plugin set: {'; '.join(told)}",
    }
    return {**pod, "metadata": {**pod["metadata"], "annotations": annotations}}


# --- bounds -----------------------------------------------------------------------------------------------------


def _problems(item: _Item, obj: Object, is_pod: bool) -> Iterator[str]:
    spec = obj.get("spec") or {}
    if not is_pod and item.type == "PersistentVolumeClaim":
        requests = parse_amounts((spec.get("resources") or {}).get("requests"))
        yield from _below(item, requests, {})
        yield from _claim_above(item, requests)
    elif is_pod and item.type == "Container":
        for field, _ in _CONTAINERS:
            for container in spec.get(field) or ():
                yield from _out_of(item, resources_of(container, "requests"), resources_of(container, "limits"))
    elif is_pod and item.type == "Pod":
        yield from _out_of(item, pod_requests(spec, overhead=False), pod_limits(spec, overhead=False))


def _out_of(item: _Item, requests: Amounts, limits: Amounts) -> Iterator[str]:
    yield from _below(item, requests, limits)
    yield from _above(item, requests, limits)
    yield from _too_steep(item, requests, limits)


def _bounds(quantities: _Quantities | None) -> Iterable[tuple[str, Amount]]:
    return sorted(parse_amounts(quantities).items())


def _below(item: _Item, requests: Amounts, limits: Amounts) -> Iterator[str]:
    for name, least in _bounds(item.min):
        rule, request, limit = f"minimum {name} usage per {item.type} is {least}", requests.get(name), limits.get(name)
        if request is None:
            yield f"{rule}.  No request is specified"
        elif request.nanos < least.nanos:
            yield f"{rule}, but request is {request}"
        elif limit is not None and limit.nanos < least.nanos:
            yield f"{rule}, but limit is {limit}"


def _above(item: _Item, requests: Amounts, limits: Amounts) -> Iterator[str]:
    for name, most in _bounds(item.max):
        rule, request, limit = f"maximum {name} usage per {item.type} is {most}", requests.get(name), limits.get(name)
        if limit is None:
            yield f"{rule}.  No limit is specified"
        elif limit.nanos > most.nanos:
            yield f"{rule}, but limit is {limit}"
        elif request is not None and request.nanos > most.nanos:
            yield f"{rule}, but request is {request}"


def _claim_above(item: _Item, requests: Amounts) -> Iterator[str]:
    """A claim has no limits: what it requests is held to the maximum."""
    for name, most in _bounds(item.max):
        rule, request = f"maximum {name} usage per {item.type} is {most}", requests.get(name)
        if request is None:
            yield f"{rule}.  No request is specified"
        elif request.nanos > most.nanos:
            yield f"{rule}, but request is {request}"


def _too_steep(item: _Item, requests: Amounts, limits: Amounts) -> Iterator[str]:
    for name, ratio in _bounds(item.max_limit_request_ratio):
        rule = f"{name} max limit to request ratio per {item.type} is {ratio}"
        request, limit = requests.get(name), limits.get(name)
        if request is None or not request.nanos:
            yield f"{rule}, but no request is specified or request is 0"
        elif limit is None or not limit.nanos:
            yield f"{rule}, but no limit is specified or limit is 0"
        elif limit.nanos * 10**9 > ratio.nanos * request.nanos:
            yield f"{rule}, but provided ratio is {limit.nanos / request.nanos:f}"

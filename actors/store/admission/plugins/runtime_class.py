"""RuntimeClass: a pod of a runtime class has its overhead, its node selector and its tolerations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from actors.api.codec import Object, lens
from actors.api.key import Key
from actors.api.meta import Lens, Resource
from actors.api.quantity import parse_resource
from actors.store.admission.plugin import Plugin, Request

_DIFFERS = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"
_UNFOUNDED = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"


class _Overhead(Lens, frozen=True):
    pod_fixed: dict[str, str | int | float] | None = None


class _Scheduling(Lens, frozen=True):
    node_selector: dict[str, str] | None = None
    tolerations: tuple[dict[str, Any], ...] | None = None


class _Class(Resource, frozen=True):
    overhead: _Overhead | None = None
    scheduling: _Scheduling | None = None


class RuntimeClass(Plugin, frozen=True):
    resources: ClassVar[frozenset[str]] = frozenset({"pods"})

    def mutate(self, request: Request, obj: Object) -> Object:
        found = _class_of(obj, request)
        if found is None:
            return obj
        spec = dict(obj["spec"])
        fixed = found.overhead.pod_fixed if found.overhead else None
        if fixed is not None and spec.get("overhead") is None:
            spec["overhead"] = fixed
        if found.scheduling is not None:
            spec |= _scheduled(spec, found.scheduling, request)
        return {**obj, "spec": spec}

    def validate(self, request: Request, obj: Object) -> None:
        given = obj["spec"].get("overhead")
        if given is None:
            return
        found = _class_of(obj, request)
        fixed = found.overhead.pod_fixed if found is not None and found.overhead else None
        if fixed is None:
            raise request.forbidden(_UNFOUNDED)
        if _amounts(given) != _amounts(fixed):
            raise request.forbidden(_DIFFERS)


def _class_of(pod: Object, request: Request) -> _Class | None:
    name = pod["spec"].get("runtimeClassName")
    if name is None:
        return None
    stored = request.context.lookup(Key("runtimeclasses.node.k8s.io", "", name))
    if stored is None:
        raise request.forbidden(f'pod rejected: RuntimeClass "{name}" not found')
    return lens(stored, _Class)


def _amounts(overhead: Object) -> dict[str, int]:
    return {name: parse_resource(name, amount) for name, amount in overhead.items()}


def _scheduled(spec: Object, wanted: _Scheduling, request: Request) -> Object:
    changed: Object = {}
    if wanted.node_selector:
        own = spec.get("nodeSelector") or {}
        for key, value in wanted.node_selector.items():
            if own.get(key, value) != value:
                raise request.forbidden(
                    f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; "
                    f"pod.spec.nodeSelector[{key}] = {own[key]}"
                )
        changed["nodeSelector"] = {**own, **wanted.node_selector}
    if wanted.tolerations:
        changed["tolerations"] = merge_tolerations([*(spec.get("tolerations") or []), *wanted.tolerations])
    return changed


def merge_tolerations(rows: Sequence[Object]) -> list[Object]:
    """Without those that another covers; of those that say the same the first stays (pkg/util/tolerations)."""
    return [row for at, row in enumerate(rows) if not _is_idle(row, rows[:at], rows[at + 1 :])]


def _is_idle(row: Object, before: Sequence[Object], after: Sequence[Object]) -> bool:
    return any(_covers(other, row) for other in before) or any(
        _covers(other, row) and not _covers(row, other) for other in after
    )


def _covers(wide: Object, narrow: Object) -> bool:
    """Whether whatever `narrow` tolerates, `wide` does at least as long."""
    exists = wide.get("operator") == "Exists"
    if wide.get("key", "") != narrow.get("key", "") and not (exists and not wide.get("key")):
        return False
    if wide.get("effect") and wide.get("effect") != narrow.get("effect"):
        return False
    seconds, asked = wide.get("tolerationSeconds"), narrow.get("tolerationSeconds")
    if seconds is not None and (asked is None or asked > seconds):
        return False
    return exists or (narrow.get("operator") != "Exists" and wide.get("value", "") == narrow.get("value", ""))

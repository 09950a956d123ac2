"""Priority: what a pod's PriorityClass is worth is written into the pod; at most one class is everybody's default."""

from __future__ import annotations

from typing import ClassVar

from actors.api.codec import Object, lens_kept
from actors.api.key import Key
from actors.api.kinds import POD, PRIORITY_CLASS
from actors.api.meta import Resource
from actors.store.admission.outcome import Context
from actors.store.admission.plugin import Operation, Plugin, Request

_PREEMPT = "PreemptLowerPriority"


class PriorityClass(Resource, frozen=True):
    value: int = 0
    global_default: bool = False
    preemption_policy: str = _PREEMPT


_NONE = PriorityClass()


class Priority(Plugin, frozen=True):
    resources: ClassVar[frozenset[str]] = frozenset({POD.resource, PRIORITY_CLASS.resource})
    operations: ClassVar[frozenset[Operation]] = frozenset({Operation.CREATE, Operation.UPDATE})

    def mutate(self, request: Request, obj: Object) -> Object:
        if request.kind is not POD or request.operation is not Operation.CREATE:
            return obj
        spec = obj["spec"]
        found = _class_of(spec.get("priorityClassName") or "", request)
        _check_agrees(spec, found, request)
        worth: Object = {"priority": found.value, "preemptionPolicy": found.preemption_policy}
        if found.metadata.name:
            worth["priorityClassName"] = found.metadata.name
        return {**obj, "spec": {**spec, **worth}}

    def validate(self, request: Request, obj: Object) -> None:
        if request.kind is PRIORITY_CLASS and obj.get("globalDefault"):
            other = _default_class(request.context)
            if other is not None and other.metadata.name != request.key.name:
                name = other.metadata.name
                raise request.forbidden(
                    f"PriorityClass {name} is already marked as default. Only one default can exist"
                )


def _class_of(name: str, request: Request) -> PriorityClass:
    """The one that is named, the default one, or the one that says nothing. Raises Forbidden."""
    if not name:
        return _default_class(request.context) or _NONE
    stored = request.context.lookup(Key(PRIORITY_CLASS.resource, "", name))
    if stored is None:
        raise request.forbidden(f"no PriorityClass with name {name} was found")
    return lens_kept(stored, PriorityClass)


def _check_agrees(spec: Object, found: PriorityClass, request: Request) -> None:
    """A pod may repeat what its class says, and say nothing else."""
    value, policy = spec.get("priority"), spec.get("preemptionPolicy")
    if value is not None and value != found.value:
        raise request.forbidden(
            f"the integer value of priority ({value}) must not be provided in pod spec; priority admission controller "
            f"computed {found.value} from the given PriorityClass name"
        )
    if policy is not None and policy != found.preemption_policy:
        raise request.forbidden(
            f"the string value of PreemptionPolicy ({policy}) must not be provided in pod spec; priority admission "
            f"controller computed {found.preemption_policy} from the given PriorityClass name"
        )


def _default_class(context: Context) -> PriorityClass | None:
    """The least worth where there are several."""
    marked = [stored for stored in context.scan(PRIORITY_CLASS.resource, "") if b'"globalDefault":true' in stored.body]
    found = [it for stored in marked if (it := lens_kept(stored, PriorityClass)).global_default]
    return min(found, key=lambda it: (it.value, it.metadata.name)) if found else None

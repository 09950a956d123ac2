"""MutatingAdmissionPolicy: objects merged into the request's, or JSON patches of it (plugin/policy/mutating)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from msgspec import UNSET

from actors.admission.policies.evaluation import BUDGET, Evaluation, Failed, fits_conditions
from actors.admission.policies.invocations import Invocation, PolicyStep, World
from actors.admission.policies.merging import find_atomics, merge
from actors.admission.request import Request
from actors.admission.step import Rounds
from actors.api.codec import Object
from actors.api.errors import ApiError, Cause, Invalid
from actors.api.kinds import Kind
from actors.api.patch import apply_json
from actors.api.policies.literals import OBJECT, find_misnamed
from actors.api.policies.policy import MUTATING, MUTATING_BINDINGS, Mutation
from actors.store.admission.fieldset import root_of

_TEST_FAILED = "test"


@dataclass
class _Memory:
    """Between the rounds: who may be asked again, who is to be, and how the object was left."""

    asked: list[tuple[str, str, str]] = field(default_factory=list)
    again: set[tuple[str, str, str]] = field(default_factory=set)
    left: Object | None = None

    def changed(self) -> None:
        self.again.update(self.asked)


class MutatingPolicies(PolicyStep):
    """A step of the chain."""

    def __init__(self, world: World) -> None:
        super().__init__(world, MUTATING, MUTATING_BINDINGS)

    async def mutate(self, request: Request, rounds: Rounds) -> Request:
        """Raises ApiError."""
        memory: _Memory = rounds.kept.setdefault(MUTATING, _Memory())
        if rounds.again and request.object != memory.left:
            memory.changed()
        failures: list[tuple[Invocation, str]] = []
        async for invocation in self._invocations.find(request):
            if invocation.failure:
                failures.append((invocation, invocation.failure))
                continue
            if rounds.again and invocation.key not in memory.again:
                continue
            before = request.object
            try:
                request = await self._apply(invocation, request)
            except Failed as failure:
                failures.append((invocation, str(failure)))
            if request.object != before:
                memory.changed()
                rounds.wanted = True
            if invocation.hook.policy.spec.reinvocation_policy == "IfNeeded":
                memory.asked.append(invocation.key)
        memory.left = request.object
        told = [_told(invocation, why) for invocation, why in failures if not invocation.hook.policy.ignores_failures]
        if told:
            raise _refusal(request, told)
        return request

    async def _apply(self, invocation: Invocation, request: Request) -> Request:
        """All mutations of one policy, in order. Raises Failed."""
        hook, kind = invocation.hook, invocation.kind
        data = await self._invocations.data(invocation, request)
        if not fits_conditions(hook.policy, hook.compiled, data):
            return request
        obj = data["object"]
        for mutation, program in hook.compiled.mutations:
            if obj is None:
                break
            evaluation = Evaluation({**data, "object": obj}, hook.compiled.variables, BUDGET)
            obj = _mutated(obj, mutation, evaluation.ask(program), kind, request.subresource)
        if obj is None or obj == data["object"]:
            return request
        shapes = self._world.shapes
        if kind is not request.kind and request.subresource != "scale":
            obj = await shapes.show(await shapes.keep(obj, kind), request.kind)
        return request.with_object(obj)


def _mutated(obj: Object, mutation: Mutation, value: Any, kind: Kind, subresource: str) -> Object:
    """Raises Failed."""
    if mutation.patch_type == "JSONPatch":
        return _patched(obj, value)
    if told := find_misnamed(value, OBJECT):
        raise Failed(f"type mismatch: {told}")
    root = root_of(kind) if subresource != "scale" else None
    given = _plain(value)
    if atomics := list(find_atomics(given, root)):
        raise Failed(
            "error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: "
            + ", ".join(atomics)
        )
    merged: Object = merge(obj, {**given, "apiVersion": obj["apiVersion"], "kind": obj["kind"]}, root)
    return merged


def _patched(obj: Object, patches: Any) -> Object:
    """One whose test fails leaves the object as it was. Raises Failed."""
    operations = [_operation(patch) for patch in patches]
    try:
        result = apply_json(obj, operations)
    except ApiError as error:
        if any(operation["op"] == _TEST_FAILED for operation in operations) and "test" in error.message:
            return obj
        raise Failed(f"JSONPath: {error.message}") from error
    if not isinstance(result, dict):
        raise Failed("JSONPath: the patch leaves no object")
    return result


def _operation(patch: Any) -> Object:
    if not isinstance(patch, dict):
        raise Failed("type mismatch: JSONPatchType.expression should evaluate to array of JSONPatch")
    operation = {name: patch[name] for name in ("op", "path", "from") if patch.get(name)}
    operation.setdefault("op", "")
    if (value := patch.get("value", UNSET)) is not UNSET:
        if told := find_misnamed(value, getattr(value, "type_name", OBJECT)):
            raise Failed(f"type mismatch: {told}")
        operation["value"] = _plain(value)
    return operation


def _plain(value: Any) -> Any:
    """As JSON. Raises Failed for what JSON has not."""
    match value:
        case dict():
            return {name: _plain(item) for name, item in value.items()}
        case list():
            return [_plain(item) for item in value]
        case bool() | str() | float() | None:
            return value
        case int():
            return int(value)
    raise Failed(f"JSONPath valueExpression evaluated to a type that could not marshal to JSON: {type(value).__name__}")


def _told(invocation: Invocation, why: str) -> str:
    policy = invocation.hook.policy.name
    if invocation.binding is None:
        return f'policy "{policy}" denied request: {why}'
    return f"policy '{policy}' with binding '{invocation.binding.name}' denied request: {why}"


def _refusal(request: Request, told: list[str]) -> ApiError:
    kind = request.kind
    causes = [Cause("", message, "") for message in told]
    return Invalid(told[0], name=request.name, group=kind.group, kind=kind.plural, causes=causes)

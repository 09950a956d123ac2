"""What the expressions of a policy see of a request, and what they may cost together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from actors.admission.request import Request, request_facts
from actors.admission.shapes import Shapes, in_terms_of
from actors.api.cel.environment import CelError, Program
from actors.api.cel.frame import Lazy
from actors.api.cel.functions.authorizer import Answer, Ask, Authorizer, resource_check
from actors.api.cel.functions.times import parse_timestamp
from actors.api.cel.values import OutOfBudget
from actors.api.codec import Object
from actors.api.kinds import Kind
from actors.api.policies.compiled import Compiled
from actors.api.policies.policy import Policy
from actors.api.rbac import Attributes

#: Of one policy on one request, in units of cost: at most two seconds. Kubernetes' is 10,000,000 of quicker ones.
BUDGET, CONDITIONS_BUDGET = 4_000_000, 2_500_000
_OUT_OF_BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run"
#: What a user (authentication/v1 UserInfo) may do, as RBAC knows it.
Authority = Callable[[Object], Awaitable[Ask]]


async def control_plane(user: Object) -> Ask:
    """Of parts of the control plane, which hold the store and may do everything; of others nothing is known there."""

    def ask(account: tuple[str, str] | None, asked: Attributes) -> Answer:
        return Answer(True) if account is None else Answer(False, error="the authorizer is not available here")

    return ask


class Failed(Exception):
    """An expression that could not be asked. The text is Kubernetes'."""


class Evaluation:
    """One policy on one request with one of its parameters."""

    def __init__(self, data: Mapping[str, Any], variables: tuple[tuple[str, Program], ...], budget: int) -> None:
        self._data = dict(data)
        for name, program in variables:
            self._data[f"variables.{name}"] = Lazy(program.step, self._data)
        self._left = budget

    def ask(self, program: Program) -> Any:
        """Raises Failed."""
        try:
            value, cost = program.spend(self._data, self._left)
        except OutOfBudget as error:
            raise Failed(_OUT_OF_BUDGET) from error
        except CelError as error:
            raise Failed(f"expression '{program.text}' resulted in error: {error}") from error
        self._left -= cost
        return value


def fits_conditions(policy: Policy, compiled: Compiled, data: Mapping[str, Any]) -> bool:
    """Whether all matchConditions are true. One that is false decides, also when others fail. Raises Failed."""
    if not compiled.conditions:
        return True
    evaluation, failures = Evaluation(data, (), CONDITIONS_BUDGET), []
    for _, program in compiled.conditions:
        try:
            if evaluation.ask(program) is not True:
                return False
        except Failed as failure:
            failures.append(str(failure))
    if failures and not policy.ignores_failures:
        raise Failed(failures[0] if len(failures) == 1 else f"[{', '.join(failures)}]")
    return not failures


async def data_of(request: Request, kind: Kind, namespace: Object | None, shapes: Shapes) -> dict[str, Any]:
    """The variables without `params` and the authorizer, in the terms of `kind`."""
    obj, old = await in_terms_of(request, kind, shapes)
    return {
        "object": obj,
        "oldObject": old,
        "request": request_facts(request, kind),
        "namespaceObject": _namespace_value(namespace),
    }


def authorizer_of(request: Request, ask: Ask) -> dict[str, Any]:
    by, kind = Authorizer(ask), request.kind
    asked = Attributes(
        verb="",
        group=kind.group,
        resource=kind.plural,
        subresource=request.subresource,
        namespace=request.namespace,
        name=request.name,
    )
    return {"authorizer": by, "authorizer.requestResource": resource_check(by, asked)}


def _namespace_value(namespace: Object | None) -> Object | None:
    if namespace is None:
        return None
    metadata = dict(namespace["metadata"])
    metadata["UID"] = metadata.get("uid", "")
    for name in ("creationTimestamp", "deletionTimestamp"):
        if isinstance(metadata.get(name), str):
            metadata[name] = parse_timestamp(metadata[name])
    return {"metadata": metadata, "spec": namespace.get("spec") or {}, "status": namespace.get("status") or {}}

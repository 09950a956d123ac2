"""ValidatingAdmissionPolicy: denied, warned of or written down, as its bindings say (plugin/policy/validating)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from actors.admission.policies.evaluation import BUDGET, Evaluation, Failed, fits_conditions
from actors.admission.policies.invocations import Invocation, PolicyStep, World
from actors.admission.request import Request
from actors.api.cel.environment import Program
from actors.api.cel.values import type_name
from actors.api.errors import ApiError, Cause, Forbidden, Invalid, TooLarge, Unauthorized
from actors.api.policies.policy import VALIDATING, VALIDATING_BINDINGS, Validation

_FAILURE_ANNOTATION = "validation.policy.admission.k8s.io/validation_failure"
_MESSAGE_BYTES_MAX, _ANNOTATION_CHARS_MAX = 5 * 1024, 10 * 1024
_REASONS: Mapping[str, type[ApiError]] = {
    "Forbidden": Forbidden,
    "Unauthorized": Unauthorized,
    "RequestEntityTooLarge": TooLarge,
    "Invalid": Invalid,
}


class Denial(NamedTuple):
    """`at`: of which validation, -1 for none."""

    message: str
    reason: str = "Invalid"
    at: int = -1


class ValidatingPolicies(PolicyStep):
    """A step of the chain."""

    def __init__(self, world: World) -> None:
        super().__init__(world, VALIDATING, VALIDATING_BINDINGS)

    async def validate(self, request: Request) -> None:
        """All policies are asked; the first that denies is the answer. Raises ApiError."""
        denials: list[tuple[Invocation, Denial]] = []
        annotations: dict[str, list[str]] = {}
        async for invocation in self._invocations.find(request):
            if invocation.failure:
                if not invocation.hook.policy.ignores_failures:
                    denials.append((invocation, Denial(invocation.failure)))
                continue
            judged = _Judgement(invocation, await self._invocations.data(invocation, request))
            denials += [(invocation, denial) for denial in self._act(judged.denials(), invocation, request)]
            denials += [(invocation, denial) for denial in judged.annotate(annotations)]
        request.notes.annotations.update({name: ", ".join(values) for name, values in annotations.items()})
        if denials:
            raise _refusal(request, *denials[0])

    def _act(self, found: Iterator[Denial], invocation: Invocation, request: Request) -> Iterator[Denial]:
        """The denials that are to deny."""
        assert invocation.binding is not None
        policy, binding = invocation.hook.policy.name, invocation.binding
        for denial in found:
            for action in binding.spec.validation_actions or ():
                if action == "Deny":
                    yield denial
                elif action == "Warn":
                    told = f"Validation failed for ValidatingAdmissionPolicy '{policy}' with binding '{binding.name}'"
                    request.notes.warnings.append(f"{told}: {denial.message}")
                elif action == "Audit":
                    failure = {
                        "message": denial.message,
                        "policy": policy,
                        "binding": binding.name,
                        "expressionIndex": max(denial.at, 0),
                        "validationActions": list(binding.spec.validation_actions or ()),
                    }
                    request.notes.annotations[_FAILURE_ANNOTATION] = msgspec.json.encode([failure]).decode()


class _Judgement:
    """One policy on one request with one parameter."""

    def __init__(self, invocation: Invocation, data: Mapping[str, Any]) -> None:
        self._policy, self._compiled = invocation.hook.policy, invocation.hook.compiled
        self._data = data
        self._fits = True

    def denials(self) -> Iterator[Denial]:
        try:
            self._fits = fits_conditions(self._policy, self._compiled, self._data)
        except Failed as failure:
            self._fits = False
            yield Denial(str(failure))
        if not self._fits:
            return
        evaluation = Evaluation(self._data, self._compiled.variables, BUDGET)
        for at, (validation, program, message) in enumerate(self._compiled.validations):
            try:
                verdict = evaluation.ask(program)
            except Failed as failure:
                if not self._policy.ignores_failures:
                    yield Denial(str(failure), at=at)
                continue
            if verdict is not True:
                yield Denial(_told(evaluation, validation, message), validation.reason or "Invalid", at)

    def annotate(self, annotations: dict[str, list[str]]) -> Iterator[Denial]:
        """Adds to `annotations`; what cannot be told denies, unless failures are ignored."""
        if not self._fits:
            return
        evaluation = Evaluation(self._data, self._compiled.variables, BUDGET)
        for key, program in self._compiled.annotations:
            try:
                value = evaluation.ask(program)
                if value is not None and not isinstance(value, str):
                    raise Failed(
                        f"valueExpression '{program.text}' resulted in unsupported return type: {type_name(value)}. "
                        "Return type must be either string or null."
                    )
            except Failed as failure:
                if not self._policy.ignores_failures:
                    yield Denial(str(failure))
                continue
            if value and (text := value.strip()[:_ANNOTATION_CHARS_MAX]):
                known = annotations.setdefault(f"{self._policy.name}/{key}", [])
                if text not in known:
                    known.append(text)


def _told(evaluation: Evaluation, validation: Validation, message: Program | None) -> str:
    """Of the expression, when it gives one good line; else the fixed message, else the expression itself."""
    fixed = (validation.message or "").strip() or f"failed expression: {validation.expression.strip()}"
    if message is None:
        return fixed
    try:
        told = evaluation.ask(message)
    except Failed:
        return fixed
    good = isinstance(told, str) and told.strip() and "\n" not in told.strip()
    return told.strip() if good and len(told.encode()) <= _MESSAGE_BYTES_MAX else fixed


def _refusal(request: Request, invocation: Invocation, denial: Denial) -> ApiError:
    by = f"ValidatingAdmissionPolicy '{invocation.hook.policy.name}'"
    if invocation.binding is not None:
        by += f" with binding '{invocation.binding.name}'"
    message = f"{by} denied request: {denial.message}"
    kind = request.kind
    return _REASONS.get(denial.reason, Invalid)(
        f'{kind.resource} "{request.name}" is forbidden: {message}',
        name=request.name,
        group=kind.group,
        kind=kind.plural,
        causes=[Cause("", message, "")],
    )

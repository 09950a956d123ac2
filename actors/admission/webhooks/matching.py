"""Whether a request is shown to a webhook: rules, selectors, conditions, in kube-apiserver's order (ShouldCallHook)."""

from __future__ import annotations

from actors.admission.policies.evaluation import (
    CONDITIONS_BUDGET,
    Authority,
    Evaluation,
    Failed,
    authorizer_of,
    data_of,
)
from actors.admission.request import DELETE, Request, labels_of
from actors.admission.rules import find_match
from actors.admission.shapes import Shapes
from actors.admission.webhooks.config import Hook
from actors.api.codec import Object, decode
from actors.api.errors import Forbidden
from actors.api.key import Key
from actors.api.kinds import NAMESPACE, Kind
from actors.store.port import StorePort


class Matcher:
    def __init__(self, store: StorePort, shapes: Shapes, authority: Authority) -> None:
        self._store, self._shapes, self._authority = store, shapes, authority

    async def match(self, hook: Hook, request: Request) -> Kind | None:
        """The kind in whose terms the webhook is to see the request; None: not at all. Raises ApiError."""
        kind = find_match(hook.webhook.rules or (), hook.webhook.match_policy, request.place)
        if kind is None or not _selects_object(hook, request) or not await self._selects_namespace(hook, request):
            return None
        if hook.webhook.match_conditions and not await self._meets_conditions(hook, request, kind):
            return None
        return kind

    async def _selects_namespace(self, hook: Hook, request: Request) -> bool:
        """What is in no API namespace, and is none, is selected by every selector."""
        if not request.namespace or hook.namespaces.is_empty:
            return True
        return hook.namespaces.matches(await self._namespace_labels(request))

    async def _namespace_labels(self, request: Request) -> dict[str, str]:
        """Raises NotFound. Of an API namespace that is being made or changed, those that it is to have."""
        if request.kind.storage is NAMESPACE and not request.subresource and request.operation != DELETE:
            return labels_of(request.object) or {}
        stored = await self._store.get(Key(NAMESPACE.resource, "", request.namespace))
        return labels_of(decode(stored)) or {}

    async def _meets_conditions(self, hook: Hook, request: Request, kind: Kind) -> bool:
        """All must be true. One that cannot be evaluated counts only where none is false."""
        data = await data_of(request, kind, None, self._shapes)
        if any("authorizer" in row.expression for row in hook.webhook.match_conditions or ()):
            data |= authorizer_of(request, await self._authority(request.origin.user))
        evaluation, failures = Evaluation(data, (), CONDITIONS_BUDGET), []
        for name, program in hook.conditions:
            try:
                if evaluation.ask(program) is not True:
                    return False
            except Failed as failure:
                failures.append(f"match condition '{name}' error: {failure}")
        if not failures:
            return True
        if hook.fails_open:
            return False
        raise _forbidden(request, ", ".join(failures))


def _selects_object(hook: Hook, request: Request) -> bool:
    """The object or the old one. What has no labels, as the options of a connection, is selected by nothing."""
    if hook.objects.is_empty:
        return True
    shown: tuple[Object | None, ...] = (request.object, request.old_object)
    found = [labels for obj in shown if (labels := labels_of(obj)) is not None]
    return any(hook.objects.matches(labels) for labels in found)


def _forbidden(request: Request, why: str) -> Forbidden:
    kind = request.kind
    return Forbidden(
        f'{kind.resource} "{request.name}" is forbidden: {why}', name=request.name, group=kind.group, kind=kind.plural
    )

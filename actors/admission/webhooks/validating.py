"""ValidatingAdmissionWebhook: all at once, on the object as it will be stored; the first refusal is the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from actors.admission.policies.evaluation import Authority
from actors.admission.request import Place, Request
from actors.admission.shapes import Shapes
from actors.admission.webhooks.call import Caller, CallFailure, Told, judge
from actors.admission.webhooks.config import Hook, Hooks
from actors.admission.webhooks.matching import Matcher
from actors.api.errors import ApiError
from actors.api.key import Key, Stored
from actors.api.kinds import Kind
from actors.remote.client import RemoteClient
from actors.store.port import StorePort

RESOURCE = "validatingwebhookconfigurations.admissionregistration.k8s.io"
_FAILED_OPEN = "failed-open.validating.webhook.admission.k8s.io/"


class ValidatingWebhooks:
    resources = (RESOURCE,)

    def __init__(
        self, store: StorePort, client: RemoteClient, shapes: Shapes, authority: Authority, told: Told | None = None
    ) -> None:
        self._hooks = Hooks()
        self._matcher = Matcher(store, shapes, authority)
        self._caller = Caller(client, shapes, *([told] if told else []))

    def configure(self, objects: Mapping[Key, Stored]) -> None:
        self._hooks = Hooks(objects.values())

    def may_want(self, place: Place) -> bool:
        return self._hooks.may_want(place)

    async def validate(self, request: Request) -> None:
        """Raises ApiError."""
        matches = [(hook, await self._matcher.match(hook, request)) for hook in self._hooks.all]
        calls = [self._ask(hook, request, kind) for hook, kind in matches if kind is not None]
        for refusal in await asyncio.gather(*calls):
            if refusal is not None:
                raise refusal

    async def _ask(self, hook: Hook, request: Request, kind: Kind) -> ApiError | None:
        try:
            await self._caller.ask(hook, request, kind, mutating=False)
        except CallFailure as failure:
            try:
                judge(failure, hook, request, f"{_FAILED_OPEN}round_0_index_{hook.index}")
            except ApiError as error:
                return error
        except ApiError as error:
            return error
        return None

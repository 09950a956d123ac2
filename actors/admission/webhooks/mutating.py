"""MutatingAdmissionWebhook: one after the other, each sees what those before it have made of the object.

Reinvocation: when one changes the object, those before it that ask for it (IfNeeded) see it once more, in the second
round; so do all of them where another step has changed it meanwhile.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from actors.admission.policies.evaluation import Authority
from actors.admission.request import Place, Request
from actors.admission.shapes import Shapes
from actors.admission.step import Rounds
from actors.admission.webhooks.call import Caller, CallFailure, Told, judge
from actors.admission.webhooks.config import Hook, Hooks
from actors.admission.webhooks.matching import Matcher
from actors.admission.webhooks.review import Answer, BadReview, read_patch
from actors.api.codec import Object
from actors.api.defaulting import default
from actors.api.errors import ApiError, InternalError
from actors.api.key import Key, Stored
from actors.api.kinds import Kind
from actors.api.patch import apply_json
from actors.api.validation import typed
from actors.remote.client import RemoteClient
from actors.store.port import StorePort

RESOURCE = "mutatingwebhookconfigurations.admissionregistration.k8s.io"
_MUTATION = "mutation.webhook.admission.k8s.io/"
_PATCH = "patch.webhook.admission.k8s.io/"
_FAILED_OPEN = "failed-open." + _MUTATION


@dataclass
class _Kept:
    """Of the first round: who asked to see a changed object again, who is to, and what the last one left."""

    willing: set[str] = field(default_factory=set)
    again: set[str] = field(default_factory=set)
    output: Object | None = None

    def require(self) -> None:
        self.again |= self.willing


class MutatingWebhooks:
    resources = (RESOURCE,)

    def __init__(
        self, store: StorePort, client: RemoteClient, shapes: Shapes, authority: Authority, told: Told | None = None
    ) -> None:
        self._hooks = Hooks()
        self._matcher = Matcher(store, shapes, authority)
        self._caller = Caller(client, shapes, *([told] if told else []))
        self._shapes = shapes

    def configure(self, objects: Mapping[Key, Stored]) -> None:
        self._hooks = Hooks(objects.values())

    def may_want(self, place: Place) -> bool:
        return self._hooks.may_want(place)

    async def mutate(self, request: Request, rounds: Rounds) -> Request:
        """Raises ApiError."""
        kept: _Kept = rounds.kept.setdefault("webhooks", _Kept())
        if rounds.again and kept.output != request.object:
            kept.require()
        for hook in self._hooks.all:
            kind = await self._matcher.match(hook, request)
            if kind is None or (rounds.again and hook.uid not in kept.again):
                continue
            changed = await self._ask(hook, request, kind, int(rounds.again))
            if changed is not None:
                request = request.with_object(changed)
                kept.require()
                rounds.wanted = True
            if hook.webhook.reinvocation_policy == "IfNeeded":
                kept.willing.add(hook.uid)
        kept.output = request.object
        return request

    async def _ask(self, hook: Hook, request: Request, kind: Kind, round_number: int) -> Object | None:
        """The object as the webhook wants it, in the request's own shape; None when it wants nothing changed."""
        mark = f"round_{round_number}_index_{hook.index}"
        changed: Object | None = None
        try:
            answer, shown = await self._caller.ask(hook, request, kind, mutating=True)
            changed = await self._changed(hook, request, kind, answer, shown, mark)
        except CallFailure as failure:
            judge(failure, hook, request, _FAILED_OPEN + mark)
        finally:
            told = {"configuration": hook.configuration, "webhook": hook.name, "mutated": changed is not None}
            request.notes.annotations[_MUTATION + mark] = _json(told)
        return changed

    async def _changed(
        self, hook: Hook, request: Request, kind: Kind, answer: Answer, shown: Object | None, mark: str
    ) -> Object | None:
        try:
            operations = read_patch(answer)
        except BadReview as error:
            raise CallFailure(hook, str(error)) from error
        if not operations:
            return None
        if shown is None:
            raise _internal(
                f'admission webhook "{hook.name}" attempted to modify the object, which is not supported for this '
                "operation"
            )
        changed = patched(shown, operations, kind, request.subresource)
        if changed == shown:
            return None
        told = {
            "configuration": hook.configuration,
            "webhook": hook.name,
            "patch": operations,
            "patchType": "JSONPatch",
        }
        request.notes.annotations[_PATCH + mark] = _json(told)
        if kind is request.kind:
            return changed
        return await self._shapes.show(await self._shapes.keep(changed, kind), request.kind)


def patched(shown: Object, operations: list[object], kind: Kind, subresource: str) -> Object:
    """Raises InternalError for a patch that does not apply, or that makes of the object what it cannot be."""
    try:
        changed = apply_json(copy.deepcopy(shown), operations)
        if not isinstance(changed, dict) or not isinstance(changed.get("metadata", {}), dict):
            raise _internal("the patch leaves no object")
        changed = {**changed, "apiVersion": shown.get("apiVersion"), "kind": shown.get("kind")}
        own_shape = not subresource or subresource == "status"
        return default(typed(changed)) if own_shape and kind.storage is kind and not kind.is_custom else changed
    except InternalError:
        raise
    except ApiError as error:
        raise _internal(error.message) from error


def _internal(text: str) -> InternalError:
    return InternalError(f"Internal error occurred: {text}")


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()

"""One call of one webhook: the review goes out, its answer comes back; a failure is what the failure policy makes it.

CallFailure: the webhook could not be asked, or did not answer as it must    the failure policy decides
ApiError: the webhook refuses, or what it did cannot be                      the request is refused
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from time import perf_counter
from typing import NamedTuple

import msgspec

from actors.admission.request import Request
from actors.admission.shapes import Shapes, in_terms_of
from actors.admission.webhooks.config import DRY_RUN_SAFE, Hook
from actors.admission.webhooks.review import (
    Answer,
    BadReview,
    make_review,
    read_review,
    refusal,
    review_version,
)
from actors.api.codec import Object
from actors.api.errors import ApiError, BadRequest, Cause, InternalError
from actors.api.kinds import Kind
from actors.remote.client import RemoteClient
from actors.remote.target import RemoteError

_LOG = logging.getLogger(__name__)
_ENCODER = msgspec.json.Encoder()


class CallFailure(Exception):
    """The text says which webhook, and why."""

    def __init__(self, hook: Hook, why: str) -> None:
        super().__init__(f'failed calling webhook "{hook.name}": {why}')


class Asked(NamedTuple):
    """One call of a webhook, for those who count: `code` of its refusal (0: it allowed), `failed`: it did not answer as
    it must, `passed`: the request went on all the same."""

    name: str
    is_mutating: bool
    operation: str
    seconds: float
    code: int = 0
    failed: bool = False
    passed: bool = True


Told = Callable[[Asked], None]


def _untold(asked: Asked) -> None: ...


class Caller:
    """`told` is told of every call."""

    def __init__(self, client: RemoteClient, shapes: Shapes, told: Told = _untold) -> None:
        self._client, self._shapes, self._told = client, shapes, told

    async def ask(self, hook: Hook, request: Request, kind: Kind, mutating: bool) -> tuple[Answer, Object | None]:
        """The answer of a webhook that allows, and the object as it was shown to it. Raises CallFailure, ApiError."""
        began = perf_counter()
        asked = Asked(hook.name, mutating, request.operation, 0)
        try:
            return await self._ask(hook, request, kind, mutating)
        except CallFailure:
            asked = asked._replace(failed=True, code=0 if hook.fails_open else 500, passed=hook.fails_open)
            raise
        except ApiError as error:
            asked = asked._replace(code=error.code, passed=False)
            raise
        finally:
            self._told(asked._replace(seconds=perf_counter() - began))

    async def _ask(self, hook: Hook, request: Request, kind: Kind, mutating: bool) -> tuple[Answer, Object | None]:
        if request.dry_run and hook.webhook.side_effects not in DRY_RUN_SAFE:
            raise BadRequest(f'admission webhook "{hook.name}" does not support dry run')
        obj, old = await in_terms_of(request, kind, self._shapes)
        uid = str(uuid.uuid4())
        try:
            version = review_version(hook.webhook.admission_review_versions)
        except BadReview as error:
            raise CallFailure(hook, f"could not create admission objects: {error}") from error
        review = make_review(request, kind, obj, old, uid, version)
        body = await self._call(hook, _ENCODER.encode(review))
        try:
            answer = read_review(body, uid, version, mutating)
        except BadReview as error:
            raise CallFailure(hook, f"received invalid webhook response: {error}") from error
        for name, value in (answer.audit_annotations or {}).items():
            request.notes.annotations[f"{hook.name}/{name}"] = value
        request.notes.warnings += answer.warnings or ()
        if not answer.allowed:
            raise refusal(hook.name, answer.status)
        return answer, obj

    async def _call(self, hook: Hook, body: bytes) -> bytes:
        try:
            return await self._client.post(hook.webhook.client_config, body, hook.webhook.timeout_seconds)
        except RemoteError as error:
            raise CallFailure(hook, f"failed to call webhook: {error}") from error


def judge(failure: CallFailure, hook: Hook, request: Request, annotation: str) -> None:
    """Raises InternalError where the webhook fails closed; else the request goes on, and the audit log says so."""
    if not hook.fails_open:
        _LOG.warning("%s: failing closed: %s", hook.configuration, failure)
        raise InternalError(f"Internal error occurred: {failure}", causes=[Cause("", str(failure), "")]) from failure
    _LOG.warning("%s: failing open: %s", hook.configuration, failure)
    request.notes.annotations[annotation] = hook.name

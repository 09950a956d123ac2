"""CertificateSigningRequests: whose they are, who may approve them, and the certificates that become of them.

An approved request for a signer of ours (`signers.py`) becomes a certificate of our CA, for the very name and groups
that it asks for. Others' signers do theirs through `status`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import msgspec
from cryptography import x509

from actors.api.clock import Millis, format_time
from actors.api.codec import Object, decode
from actors.api.errors import ApiError, Cause, Expired, Forbidden
from actors.api.key import Stored
from actors.api.kinds import SIGNING_REQUEST
from actors.api.rbac import Attributes
from actors.api.validation import invalid, typed, validate
from actors.gateway.auth.policy import Decision, Policy
from actors.gateway.auth.signers import (
    CLIENT,
    KUBELET_CLIENT,
    KUBELET_SERVING,
    SIGNERS,
    approvals_of,
    common_name,
    groups_of,
)
from actors.gateway.auth.user import MASTERS, User, node_of, user_of_info
from actors.reconcile.actions import Create, Patch, PatchType, Update
from actors.reconcile.watch import EventType, Selection
from actors.store.port import StorePort

LIFE_SECONDS = 365 * 24 * 3600
_RETRY_SECONDS = 1.0
#: How long a watch lasts while there are requests that may yet be approved by a right that somebody is given.
_UNDECIDED_MS: Millis = 2_000
_VERDICTS = frozenset({"Approved", "Denied", "Failed"})
_LOG = logging.getLogger(__name__)

Write = Create | Update | Patch
#: (request, life, whether it is a server's) -> PEM certificate. Raises ValueError.
Sign = Callable[[x509.CertificateSigningRequest, timedelta, bool], bytes]
Decide = Callable[[User, Attributes], Awaitable[Decision]]


async def guard_request(store: StorePort, policy: Policy, user: User, write: Write) -> Write:
    """A write of a request in the name of who makes it. Raises Forbidden, Invalid, BadRequest."""
    if isinstance(write, Create):
        return msgspec.structs.replace(write, object=owned(write.object, user))
    if isinstance(write, Patch) and write.type is PatchType.APPLY and not write.subresource:
        return msgspec.structs.replace(write, patch=owned(write.patch, user))
    verb = {"approval": "approve", "status": "sign"}.get(write.subresource)
    if verb is not None:
        signer = (decode(await store.get(write.key)).get("spec") or {}).get("signerName", "")
        check_signer(policy, user, verb, str(signer), write.key.name)
    return write


def owned(request: Object, user: User) -> Object:
    """With the user who makes it in `spec`, whatever the client put there."""
    spec = request.get("spec")
    if not isinstance(spec, dict):
        return request
    _check_subject(request, spec, user)
    info = user.to_info()
    kept = {name: value for name, value in spec.items() if name not in ("username", "uid", "groups", "extra")}
    return {**request, "spec": {**kept, **info}}


def _check_subject(request: Object, spec: Object, user: User) -> None:
    """Raises Invalid for what is no request, Forbidden for one that would be everything, or that a node makes for
    another (plugin/pkg/admission/noderestriction: admitCSR)."""
    try:
        parsed = parse_request(spec)
    except ValueError as error:
        whole = {**request, "apiVersion": SIGNING_REQUEST.api_version, "kind": SIGNING_REQUEST.kind}
        causes = [Cause("spec.request", f"Invalid value: {error}")] if spec.get("request") else []
        raise invalid(whole, [*causes, *validate(typed(whole))]) from error
    signer, name = spec.get("signerName"), str((request.get("metadata") or {}).get("name", ""))
    if signer == CLIENT and MASTERS in groups_of(parsed):
        raise _refusal(name, f"use of {CLIENT} signer with {MASTERS} group is not allowed")
    if node_of(user) is not None and signer in (KUBELET_CLIENT, KUBELET_SERVING) and common_name(parsed) != user.name:
        raise _refusal(name, f"can only create a node CSR with CN={user.name}")


def parse_request(spec: Object) -> x509.CertificateSigningRequest:
    """Raises ValueError."""
    try:
        request = x509.load_pem_x509_csr(base64.b64decode(str(spec.get("request", "")), validate=True))
    except (binascii.Error, ValueError, TypeError) as error:
        raise ValueError("PEM block type must be CERTIFICATE REQUEST") from error
    if not request.is_signature_valid:
        raise ValueError("the request is not signed by its own key")
    return request


def check_signer(policy: Policy, user: User, verb: str, signer: str, name: str) -> None:
    """`approve` or `sign` on that signer, or on all of its domain."""
    for asked in (signer, f"{signer.partition('/')[0]}/*"):
        attributes = Attributes(verb=verb, group="certificates.k8s.io", resource="signers", name=asked)
        if policy.decide(user, attributes).allowed:
            return
    raise _refusal(name, f'user not permitted to {verb} requests with signerName "{signer}"')


def _refusal(name: str, why: str) -> Forbidden:
    kind = SIGNING_REQUEST
    return Forbidden(f'{kind.resource} "{name}" is forbidden: {why}', name=name, group=kind.group, kind=kind.plural)


def decide_status(request: Object, sign: Sign) -> dict[str, Any] | None:
    """What a request's status is to get: a certificate, the condition Failed, or nothing (not ours, or not yet)."""
    spec, status = request.get("spec") or {}, request.get("status") or {}
    conditions = status.get("conditions") or []
    held = {row.get("type") for row in conditions if row.get("status") == "True"}
    if spec.get("signerName") not in SIGNERS or status.get("certificate") or held & {"Denied", "Failed"}:
        return None
    if "Approved" not in held:
        return None
    try:
        certificate = _issue(spec, sign)
    except ValueError as error:
        failed = {"type": "Failed", "status": "True", "reason": "SignerValidationFailure", "message": str(error)}
        return {"conditions": [*conditions, failed]}
    return {"certificate": base64.b64encode(certificate).decode()}


def _issue(spec: Object, sign: Sign) -> bytes:
    signer, parsed = SIGNERS[spec["signerName"]], parse_request(spec)
    signer.check(parsed, spec.get("usages") or ())
    life = timedelta(seconds=min(spec.get("expirationSeconds") or LIFE_SECONDS, LIFE_SECONDS))
    return sign(parsed, life, signer.is_server)


async def decide_approval(request: Object, decide: Decide, now: Millis) -> dict[str, Any] | None:
    """The conditions with the approval that a node's request gets by the rights of who made it; None: not (yet)."""
    spec, status = request.get("spec") or {}, request.get("status") or {}
    conditions = status.get("conditions") or []
    if status.get("certificate") or any(row.get("type") in _VERDICTS for row in conditions):
        return None
    user = user_of_info(spec)
    try:
        parsed = parse_request(spec)
    except ValueError:
        return None
    for approval in approvals_of(spec.get("signerName", ""), parsed, spec.get("usages") or (), user.name):
        asked = Attributes(
            verb="create",
            group=SIGNING_REQUEST.group,
            resource=SIGNING_REQUEST.plural,
            subresource=approval.subresource,
        )
        if (await decide(user, asked)).allowed:
            told = {"reason": "AutoApproved", "message": approval.message, "lastUpdateTime": format_time(now)}
            return {"conditions": [*conditions, {"type": "Approved", "status": "True", **told}]}
    return None


class SigningController:
    """Approves what nodes ask for and may have, signs what is approved, as long as it runs. Any number may run: the
    first one's certificate stays."""

    def __init__(self, store: StorePort, sign: Sign, decide: Decide, clock: Callable[[], Millis]) -> None:
        self._store = store
        self._sign, self._decide, self._clock = sign, decide, clock
        self._undecided: dict[str, Stored] = {}

    async def run(self) -> None:
        selection, revision = Selection((SIGNING_REQUEST.resource,)), 0
        while True:
            try:
                if not revision:
                    page = await self._store.list(selection)
                    self._undecided = {}
                    for stored in page.items:
                        await self._look_at(stored)
                    revision = page.revision
                batch = await self._store.watch(selection, revision, _UNDECIDED_MS if self._undecided else 30_000)
                for event in batch.events:
                    self._undecided.pop(event.stored.key.name, None)
                    if event.type is not EventType.DELETED:
                        await self._look_at(event.stored)
                for stored in () if batch.events else list(self._undecided.values()):
                    await self._look_at(stored)
                revision = batch.revision
            except Expired:
                revision = 0
            except (ApiError, OSError) as error:
                _LOG.warning("the signer of certificates waits for the store: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)

    async def _look_at(self, stored: Stored) -> None:
        request = decode(stored)
        status, subresource = decide_status(request, self._sign), "status"
        if status is None:
            status, subresource = await decide_approval(request, self._decide, self._clock()), "approval"
        if status is None:
            self._note(stored, request)
            return
        patch = Patch(
            key=stored.key,
            patch={"status": status},
            subresource=subresource,
            uid=stored.uid,
            revision=stored.revision,
            manager="csr-signer" if subresource == "status" else "csrapproving",
        )
        await self._store.commit([patch])

    def _note(self, stored: Stored, request: Object) -> None:
        """One that waits for nobody but for a right is looked at again."""
        status = request.get("status") or {}
        waits = (request.get("spec") or {}).get("signerName") == KUBELET_CLIENT and not status.get("conditions")
        if waits and not status.get("certificate"):
            self._undecided[stored.key.name] = stored
        else:
            self._undecided.pop(stored.key.name, None)

"""CertificateSigningRequests: whose they are, who may approve them, and the certificates that become of them.

One signer is ours, kubernetes.io/kube-apiserver-client: an approved request becomes a client certificate of our CA, for
the very name and groups that it asks for, but never for system:masters. Others' signers do theirs through `status`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
from cryptography import x509
from cryptography.x509.oid import NameOID

from actors.api.codec import Object, decode
from actors.api.errors import ApiError, Cause, Expired, Forbidden, Invalid
from actors.api.key import Stored
from actors.api.kinds import SIGNING_REQUEST
from actors.api.rbac import Attributes
from actors.gateway.auth.policy import Policy
from actors.gateway.auth.user import MASTERS, User
from actors.reconcile.actions import Create, Patch, PatchType, Update
from actors.reconcile.watch import EventType, Selection
from actors.store.port import StorePort

SIGNER = "kubernetes.io/kube-apiserver-client"
LIFE_SECONDS = 365 * 24 * 3600
_USAGES = frozenset({"client auth", "digital signature", "key encipherment"})
_RETRY_SECONDS = 1.0
_LOG = logging.getLogger(__name__)

Write = Create | Update | Patch
#: (request, life) -> PEM certificate. Raises ValueError.
Sign = Callable[[x509.CertificateSigningRequest, timedelta], bytes]


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
    _check_subject(spec, str((request.get("metadata") or {}).get("name", "")))
    info = user.to_info()
    kept = {name: value for name, value in spec.items() if name not in ("username", "uid", "groups", "extra")}
    return {**request, "spec": {**kept, **info}}


def _check_subject(spec: Object, name: str) -> None:
    """Raises Invalid for what is no request, Forbidden for one that would be everything."""
    try:
        parsed = parse_request(spec)
    except ValueError as error:
        cause = Cause("spec.request", f"Invalid value: {error}")
        message = f'{SIGNING_REQUEST.kind}.{SIGNING_REQUEST.group} "{name}" is invalid: spec.request: {cause.message}'
        raise Invalid(
            message, name=name, group=SIGNING_REQUEST.group, kind=SIGNING_REQUEST.kind, causes=[cause]
        ) from error
    if spec.get("signerName") == SIGNER and MASTERS in groups_of(parsed):
        raise _refusal(name, f"use of {SIGNER} signer with {MASTERS} group is not allowed")


def parse_request(spec: Object) -> x509.CertificateSigningRequest:
    """Raises ValueError."""
    try:
        request = x509.load_pem_x509_csr(base64.b64decode(str(spec.get("request", "")), validate=True))
    except (binascii.Error, ValueError, TypeError) as error:
        raise ValueError("PEM block type must be CERTIFICATE REQUEST") from error
    if not request.is_signature_valid:
        raise ValueError("the request is not signed by its own key")
    return request


def groups_of(request: x509.CertificateSigningRequest) -> list[str]:
    return [str(part.value) for part in request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]


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
    if spec.get("signerName") != SIGNER or status.get("certificate") or held & {"Denied", "Failed"}:
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
    usages = set(spec.get("usages") or ())
    if "client auth" not in usages or usages - _USAGES:
        raise ValueError(f"the usages must be among {', '.join(sorted(_USAGES))}, with client auth")
    parsed = parse_request(spec)
    if MASTERS in groups_of(parsed):
        raise ValueError(f"no certificate is issued for {MASTERS}")
    if not parsed.subject.get_attributes_for_oid(NameOID.COMMON_NAME):
        raise ValueError("the subject has no common name")
    return sign(parsed, timedelta(seconds=min(spec.get("expirationSeconds") or LIFE_SECONDS, LIFE_SECONDS)))


class Signer:
    """Signs what is approved, as long as it runs. Any number may run: the first one's certificate stays."""

    def __init__(self, store: StorePort, sign: Sign) -> None:
        self._store = store
        self._sign = sign

    async def run(self) -> None:
        selection, revision = Selection((SIGNING_REQUEST.resource,)), 0
        while True:
            try:
                if not revision:
                    page = await self._store.list(selection)
                    for stored in page.items:
                        await self._look_at(stored)
                    revision = page.revision
                batch = await self._store.watch(selection, revision)
                for event in batch.events:
                    if event.type is not EventType.DELETED:
                        await self._look_at(event.stored)
                revision = batch.revision
            except Expired:
                revision = 0
            except (ApiError, OSError) as error:
                _LOG.warning("the signer of certificates waits for the store: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)

    async def _look_at(self, stored: Stored) -> None:
        status = decide_status(decode(stored), self._sign)
        if status is not None:
            patch = Patch(
                key=stored.key,
                patch={"status": status},
                subresource="status",
                uid=stored.uid,
                revision=stored.revision,
                manager="csr-signer",
            )
            await self._store.commit([patch])

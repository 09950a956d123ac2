"""Secrets of type kubernetes.io/service-account-token: filled with a token that does not expire, gone with its account.

`decide` is pure; `TokenSecrets` runs it in a gateway (pkg/controller/serviceaccount/tokens_controller.go). Such a token
is worth what its Secret is: nothing once that is gone, or holds another, or its account is gone or another of its name.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from actors.api.codec import lens
from actors.api.errors import ApiError, Expired
from actors.api.key import Key, Stored
from actors.api.kinds import SECRET, SERVICE_ACCOUNT
from actors.api.meta import Resource
from actors.gateway.auth import jwt
from actors.gateway.auth.jwt import TokenError, VerifyingKey
from actors.gateway.auth.keys import KeyRing
from actors.gateway.auth.user import service_account_name
from actors.reconcile.actions import Delete, Patch, StoreWrite
from actors.reconcile.watch import EventType, Selection
from actors.store.port import StorePort

LEGACY_ISSUER = "kubernetes/serviceaccount"
TYPE = "kubernetes.io/service-account-token"
ACCOUNT_NAME, ACCOUNT_UID = "kubernetes.io/service-account.name", "kubernetes.io/service-account.uid"
_CLAIM = "kubernetes.io/serviceaccount/"
_RETRY_SECONDS = 1.0
_LOG = logging.getLogger(__name__)


class TokenSecret(Resource, frozen=True):
    """`data` of another type's Secret is not looked at."""

    type: str = ""
    data: dict[str, str] | None = None

    @property
    def account(self) -> str:
        return self.metadata.annotation(ACCOUNT_NAME) or ""


class Legacy(msgspec.Struct, frozen=True):
    """The claims of such a token."""

    namespace: str = msgspec.field(name=f"{_CLAIM}namespace")
    secret: str = msgspec.field(name=f"{_CLAIM}secret.name")
    account: str = msgspec.field(name=f"{_CLAIM}service-account.name")
    account_uid: str = msgspec.field(name=f"{_CLAIM}service-account.uid")


def make_claims(secret: TokenSecret, account: Stored) -> dict[str, Any]:
    namespace, name = account.key.namespace, account.key.name
    named = Legacy(namespace, secret.metadata.name, name, account.uid)
    return {"iss": LEGACY_ISSUER, "sub": service_account_name(namespace, name), **msgspec.to_builtins(named)}


def read_claims(claims: Mapping[str, Any]) -> Legacy:
    """Raises TokenError."""
    try:
        legacy = msgspec.convert(claims, Legacy)
    except msgspec.ValidationError as error:
        raise TokenError("the token names no service account") from error
    if claims.get("sub") != service_account_name(legacy.namespace, legacy.account):
        raise TokenError("the token names two service accounts")
    return legacy


def decide(secret: TokenSecret, account: Stored | None, keys: KeyRing, ca_pem: str) -> Iterator[StoreWrite]:
    """What a Secret of that type is to become; nothing when it is as it should be."""
    meta = secret.metadata
    key = Key(SECRET.resource, meta.namespace, meta.name)
    if secret.type != TYPE or meta.is_deleting or not secret.account:
        return
    uid = meta.annotation(ACCOUNT_UID)
    if account is None or (uid and uid != account.uid):
        yield Delete(key=key, uid=meta.uid, revision=meta.revision)
        return
    held = secret.data or {}
    wanted = {"ca.crt": _encoded(ca_pem), "namespace": _encoded(meta.namespace)}
    if not _is_good(held.get("token", ""), keys.verifying):
        signing = keys.newest
        wanted["token"] = _encoded(jwt.sign(make_claims(secret, account), signing.kid, signing.key))
    if uid and all(held.get(name) == value for name, value in wanted.items()):
        return
    patch = {"metadata": {"annotations": {ACCOUNT_UID: account.uid}}, "data": wanted}
    yield Patch(key=key, patch=patch, uid=meta.uid, revision=meta.revision, manager="tokens-controller")


def _is_good(token: str, keys: Sequence[VerifyingKey]) -> bool:
    """Is it one that this cluster would take, by its signature?"""
    try:
        jwt.verify(jwt.parse(base64.b64decode(token).decode()), keys)
    except (ValueError, TokenError):
        return False
    return True


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class TokenSecrets:
    """As long as it runs. Any number may run: a write that another made first is refused, and looked at again."""

    def __init__(self, store: StorePort, keys: Callable[[], KeyRing], ca_pem: str) -> None:
        self._store, self._keys, self._ca_pem = store, keys, ca_pem
        self._secrets: dict[Key, TokenSecret] = {}

    async def run(self) -> None:
        selection, revision = Selection((SECRET.resource, SERVICE_ACCOUNT.resource)), 0
        while True:
            try:
                if not revision:
                    page = await self._store.list(selection)
                    self._secrets = {}
                    for stored in page.items:
                        self._note(stored, gone=False)
                    await self._look_at(list(self._secrets))
                    revision = page.revision
                batch = await self._store.watch(selection, revision)
                touched = [self._note(event.stored, gone=event.type is EventType.DELETED) for event in batch.events]
                await self._look_at([key for keys in touched for key in keys])
                revision = batch.revision
            except Expired:
                revision = 0
            except (ApiError, OSError) as error:
                _LOG.warning("the tokens in Secrets wait for the store: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)

    def _note(self, stored: Stored, *, gone: bool) -> list[Key]:
        """The Secrets that this concerns."""
        if stored.key.resource == SERVICE_ACCOUNT.resource:
            _, namespace, name = stored.key
            return [key for key, it in self._secrets.items() if (key.namespace, it.account) == (namespace, name)]
        self._secrets.pop(stored.key, None)
        if gone or TYPE.encode() not in stored.body:
            return []
        try:
            self._secrets[stored.key] = lens(stored, TokenSecret)
        except msgspec.ValidationError:
            return []
        return [stored.key]

    async def _look_at(self, keys: Sequence[Key]) -> None:
        for key in dict.fromkeys(keys):
            secret = self._secrets.get(key)
            if secret is None or secret.type != TYPE:
                continue
            try:
                account = await self._store.get(Key(SERVICE_ACCOUNT.resource, key.namespace, secret.account))
            except ApiError as error:
                if error.code != 404:
                    raise
                account = None
            writes = list(decide(secret, account, self._keys(), self._ca_pem))
            if writes:
                await self._store.commit(writes)

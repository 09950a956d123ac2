"""Tokens of service accounts: made by TokenRequest, bound to an object, checked against the store at every use.

Claims as Kubernetes has them (pkg/serviceaccount/claims.go). A token is worth nothing once its service account, or the
pod, secret or node that it is bound to, is gone or is another one of that name.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from actors.api.codec import lens
from actors.api.errors import NotFound
from actors.api.key import Key, Stored
from actors.api.pod import Pod
from actors.gateway.auth import jwt
from actors.gateway.auth.jwt import TokenError
from actors.gateway.auth.keys import KeyRing
from actors.gateway.auth.token_secrets import TokenSecret, read_claims
from actors.gateway.auth.tokens import same
from actors.gateway.auth.user import User, authenticated, service_account_groups, service_account_name
from actors.store.port import StorePort

CLAIM = "kubernetes.io"
_EXTRA = "authentication.kubernetes.io"
_INVALID = "kubernetes.io/legacy-token-invalid-since"
#: Keys are read again for a token of an unknown one at most so often.
_KEYS_FRESH_SECONDS = 1.0
#: The resource of each kind that a token may be bound to, by the name of its claim.
BOUND = {"pod": "pods", "secret": "secrets", "node": "nodes"}


class Ref(msgspec.Struct, frozen=True):
    name: str
    uid: str = ""


class Binding(msgspec.Struct, frozen=True):
    """The private claim."""

    namespace: str
    serviceaccount: Ref
    pod: Ref | None = None
    secret: Ref | None = None
    node: Ref | None = None


def make_claims(
    binding: Binding, issuer: str, audiences: Sequence[str], token_id: str, now_seconds: int, life_seconds: int
) -> dict[str, Any]:
    private = {name: value for name, value in msgspec.to_builtins(binding).items() if value is not None}
    return {
        "aud": list(audiences),
        "exp": now_seconds + life_seconds,
        "iat": now_seconds,
        "iss": issuer,
        "jti": token_id,
        CLAIM: private,
        "nbf": now_seconds,
        "sub": service_account_name(binding.namespace, binding.serviceaccount.name),
    }


class ServiceAccountTokens:
    def __init__(self, store: StorePort, issuer: str, keys: KeyRing) -> None:
        self.issuer = issuer
        self.keys = keys
        self.read_keys: Callable[[], KeyRing] | None = None
        self._read_at = 0.0
        self._store = store

    async def user_of(self, parsed: jwt.Parsed, audiences: Sequence[str], now_seconds: float) -> User:
        """Raises TokenError."""
        claims = self._verified(parsed, now_seconds)
        jwt.check_times(claims, now_seconds)
        if not set(jwt.audiences_of(claims)) & set(audiences):
            raise TokenError("the token is for another audience")
        binding = _read_binding(claims)
        if claims.get("sub") != service_account_name(binding.namespace, binding.serviceaccount.name):
            raise TokenError("the token names two service accounts")
        await self._check_alive(binding)
        return _user_of(binding, claims)

    def _verified(self, parsed: jwt.Parsed, now_seconds: float) -> Mapping[str, Any]:
        """A key that is not known may be one that another gateway has just made. Raises TokenError."""
        kid = parsed.header.get("kid")
        known = any(key.kid == kid for key in self.keys.keys)
        if not known and self.read_keys is not None and abs(now_seconds - self._read_at) >= _KEYS_FRESH_SECONDS:
            self._read_at = now_seconds
            self.keys = self.read_keys()
        return jwt.verify(parsed, self.keys.verifying)

    async def legacy_user_of(self, parsed: jwt.Parsed) -> User:
        """Of a token that a Secret holds (see token_secrets): no expiry, and for the API alone. Raises TokenError."""
        legacy = read_claims(jwt.verify(parsed, self.keys.verifying))
        try:
            stored = await self._store.get(Key("secrets", legacy.namespace, legacy.secret))
        except NotFound:
            raise TokenError("the token's Secret is gone") from None
        secret = lens(stored, TokenSecret)
        if secret.metadata.is_deleting or secret.metadata.label(_INVALID) is not None:
            raise TokenError("the token's Secret is going, or the token was invalidated")
        if not same(secret.data.get("token", "") if secret.data else "", b64encode(parsed.text.encode()).decode()):
            raise TokenError("the token's Secret holds another one")
        await self._check_ref("serviceaccounts", legacy.namespace, Ref(legacy.account, legacy.account_uid))
        name = service_account_name(legacy.namespace, legacy.account)
        return authenticated(User(name, service_account_groups(legacy.namespace), legacy.account_uid))

    async def _check_alive(self, binding: Binding) -> None:
        await self._check_ref("serviceaccounts", binding.namespace, binding.serviceaccount)
        for kind, resource in BOUND.items():
            ref = getattr(binding, kind)
            if ref is not None and (kind != "node" or binding.pod is None):
                await self._check_ref(resource, "" if kind == "node" else binding.namespace, ref)

    async def _check_ref(self, resource: str, namespace: str, ref: Ref) -> None:
        try:
            stored = await self._store.get(Key(resource, namespace, ref.name))
        except NotFound:
            raise TokenError(f"what the token is bound to is gone: {resource} {ref.name}") from None
        if stored.uid != ref.uid:
            raise TokenError(f"what the token was bound to is gone: {resource} {ref.name} is another one now")


def _read_binding(claims: Mapping[str, Any]) -> Binding:
    try:
        return msgspec.convert(claims.get(CLAIM), Binding)
    except msgspec.ValidationError as error:
        raise TokenError("the token names no service account") from error


def _user_of(binding: Binding, claims: Mapping[str, Any]) -> User:
    extra = {f"{_EXTRA}/credential-id": (f"JTI={claims.get('jti', '')}",)}
    for kind in ("node", "pod"):
        if (ref := getattr(binding, kind)) is not None:
            extra |= {f"{_EXTRA}/{kind}-name": (ref.name,)} | ({f"{_EXTRA}/{kind}-uid": (ref.uid,)} if ref.uid else {})
    account = binding.serviceaccount
    name = service_account_name(binding.namespace, account.name)
    return authenticated(User(name, service_account_groups(binding.namespace), account.uid, tuple(extra.items())))


def bind(namespace: str, account: Stored, kind: str = "", bound: Stored | None = None) -> Binding:
    """`kind` is a key of BOUND. A pod brings its node along."""
    refs: dict[str, Ref] = {}
    if bound is not None:
        refs[kind] = Ref(bound.key.name, bound.uid)
        if kind == "pod" and (node := lens(bound, Pod).spec.node_name):
            refs["node"] = Ref(node)
    return Binding(namespace, Ref(account.key.name, account.uid), **refs)

"""Who asks: a client certificate, else a bearer token, else nobody. A token that is shown and is none is a refusal.

What a token was found to name is kept for a moment, by its digest, so that a busy client costs one check a second;
a service account, pod or Secret that is deleted ends its tokens within that moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from actors.api.clock import Millis
from actors.api.errors import Unauthorized
from actors.gateway.auth import jwt
from actors.gateway.auth.impersonate import Headers
from actors.gateway.auth.jwt import TokenError
from actors.gateway.auth.oidc import OidcIssuer
from actors.gateway.auth.service_accounts import ServiceAccountTokens
from actors.gateway.auth.token_secrets import LEGACY_ISSUER
from actors.gateway.auth.tokens import StaticTokens, bootstrap_user, digest
from actors.gateway.auth.user import NOBODY, User, user_of
from actors.store.port import StorePort

KEPT_MS: Millis = 1_000
_KEPT_MAX = 10_000


class _Known(NamedTuple):
    user: User
    audiences: tuple[str, ...]
    until_ms: Millis


class Verified(NamedTuple):
    """`audiences`: those of the asked ones that the token is for."""

    user: User
    audiences: tuple[str, ...]


class Authenticator:
    """Used within one event loop. `audiences`: what tokens must be for when nothing else is asked."""

    def __init__(
        self,
        store: StorePort,
        accounts: ServiceAccountTokens,
        audiences: Sequence[str],
        static: StaticTokens | None = None,
        issuers: Sequence[OidcIssuer] = (),
        *,
        bootstrap_tokens: bool = True,
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._audiences = tuple(audiences)
        self._static = static
        self._issuers = {issuer.config.issuer: issuer for issuer in issuers}
        self._bootstrap_tokens = bootstrap_tokens
        self._known: dict[tuple[bytes, tuple[str, ...]], _Known] = {}

    async def authenticate(self, certificate: Mapping[str, Any] | None, headers: Headers, now: Millis) -> User:
        """NOBODY for a request without credentials. Raises Unauthorized."""
        user = user_of(certificate)
        if user is not None:
            return user
        token = read_bearer(headers)
        if token is None:
            return NOBODY
        try:
            return (await self.verify(token, (), now)).user
        except TokenError:
            raise Unauthorized("Unauthorized") from None

    async def verify(self, token: str, audiences: tuple[str, ...], now: Millis) -> Verified:
        """`audiences` () are the API's own. Raises TokenError."""
        if not token.isascii():
            raise TokenError("a token is ASCII")
        asked = audiences or self._audiences
        key = (digest(token), asked)
        known = self._known.get(key)
        if known is None or known.until_ms <= now or known.until_ms > now + KEPT_MS:
            user, fitting = await self._check(token, asked, now)
            if len(self._known) >= _KEPT_MAX:
                self._known.clear()
            known = self._known[key] = _Known(user, fitting, now + KEPT_MS)
        return Verified(known.user, known.audiences)

    async def _check(self, token: str, asked: tuple[str, ...], now: Millis) -> Verified:
        if len(token) > jwt.TOKEN_CHARS_MAX:
            raise TokenError("the token is too large")
        plain = self._static.user_of(token) if self._static is not None else None
        if plain is None and self._bootstrap_tokens:
            plain = await bootstrap_user(self._store, token, now)
        if plain is not None:
            return Verified(plain, self._own(asked))
        parsed = jwt.parse(token)
        issuer = parsed.claims.get("iss")
        if issuer == self._accounts.issuer:
            user = await self._accounts.user_of(parsed, asked, now / 1000)
            return Verified(user, tuple(a for a in asked if a in jwt.audiences_of(parsed.claims)))
        if issuer == LEGACY_ISSUER:
            return Verified(await self._accounts.legacy_user_of(parsed), self._own(asked))
        if isinstance(issuer, str) and issuer in self._issuers:
            return Verified(await self._issuers[issuer].user_of(parsed, now / 1000), self._own(asked))
        raise TokenError("the token is of an issuer that is not known")

    def _own(self, asked: tuple[str, ...]) -> tuple[str, ...]:
        """Tokens without audiences of their own are for the API. Raises TokenError when another is asked for."""
        fitting = tuple(audience for audience in asked if audience in self._audiences)
        if not fitting:
            raise TokenError("the token is for another audience")
        return fitting


def read_bearer(headers: Headers) -> str | None:
    """Raises Unauthorized for an Authorization that is there twice, or is of another scheme."""
    values = headers.getall("Authorization", [])
    if not values:
        return None
    scheme, _, token = values[0].strip().partition(" ")
    if len(values) > 1 or scheme.lower() != "bearer" or not token.strip() or " " in token.strip():
        raise Unauthorized("Unauthorized")
    return token.strip()

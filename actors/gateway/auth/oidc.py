"""Users of an OpenID Connect issuer: its ID tokens, its keys, and how claims become a name and groups.

Claims are mapped as kube-apiserver's --oidc-* flags say. Keys come from a file, a URL or the issuer's discovery; they
are read again when they are old, and, at most every few seconds, when a token names one that is not known.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from actors.gateway.auth import jwt
from actors.gateway.auth.jwt import TokenError, VerifyingKey
from actors.gateway.auth.user import User, authenticated
from actors.gateway.config import OidcConfig

_LOG = logging.getLogger(__name__)
_FRESH_SECONDS = 300
_AGAIN_SECONDS = 10
_FETCH_SECONDS = 5
_DOCUMENT_BYTES_MAX = 1 << 20
_NO_PREFIX = "-"

Fetch = Callable[[str, str], Awaitable[bytes]]


class OidcIssuer:
    """Used within one event loop. `fetch` reads a URL, trusting the CA in a file ("": the system's)."""

    def __init__(self, config: OidcConfig, fetch: Fetch | None = None) -> None:
        self.config = config
        self._fetch = fetch or fetch_url
        self._keys: tuple[VerifyingKey, ...] = ()
        self._read_seconds = float("-inf")
        self._reading = asyncio.Lock()

    async def user_of(self, parsed: jwt.Parsed, now_seconds: float) -> User:
        """Raises TokenError."""
        claims = jwt.verify(parsed, await self._keys_for(parsed, now_seconds))
        jwt.check_times(claims, now_seconds)
        if not set(jwt.audiences_of(claims)) & set(self.config.audiences):
            raise TokenError("the token is for another audience")
        return map_claims(claims, self.config)

    async def _keys_for(self, parsed: jwt.Parsed, now_seconds: float) -> tuple[VerifyingKey, ...]:
        kid = parsed.header.get("kid")
        async with self._reading:
            age = now_seconds - self._read_seconds
            unknown = kid is not None and all(key.kid != kid for key in self._keys)
            if age > _FRESH_SECONDS or (unknown and age > _AGAIN_SECONDS):
                self._keys = jwt.parse_jwks(await self._read())
                self._read_seconds = now_seconds
        return self._keys

    async def _read(self) -> bytes:
        config = self.config
        try:
            if config.jwks_file:
                return await asyncio.to_thread(Path(config.jwks_file).read_bytes)
            return await self._fetch(config.jwks_url or await self._discover(), config.ca_file)
        except (OSError, aiohttp.ClientError, TimeoutError, ssl.SSLError) as error:
            _LOG.warning(
                "the keys of the OpenID issuer %s cannot be read: %s", config.issuer, str(error) or repr(error)
            )
            raise TokenError(f"the keys of {config.issuer} cannot be read: {type(error).__name__}") from error

    async def _discover(self) -> str:
        url = f"{self.config.issuer.rstrip('/')}/.well-known/openid-configuration"
        try:
            document = msgspec.json.decode(await self._fetch(url, self.config.ca_file))
            if document["issuer"] != self.config.issuer:
                raise TokenError(f"{url} speaks for another issuer")
            return str(document["jwks_uri"])
        except (msgspec.DecodeError, KeyError, TypeError) as error:
            raise TokenError(f"{url} is not an OpenID configuration") from error


def map_claims(claims: Mapping[str, Any], config: OidcConfig) -> User:
    """Raises TokenError for claims that name nobody."""
    name = claims.get(config.username_claim)
    if not isinstance(name, str) or not name:
        raise TokenError(f"the token has no claim {config.username_claim}")
    if config.username_claim == "email" and claims.get("email_verified", True) is not True:
        raise TokenError("the email is not verified")
    if any(claims.get(claim) != value for claim, value in config.required_claims.items()):
        raise TokenError("a required claim is missing")
    return authenticated(User(f"{_username_prefix(config)}{name}", _groups(claims, config)))


def _username_prefix(config: OidcConfig) -> str:
    if config.username_prefix is None:
        return "" if config.username_claim == "email" else f"{config.issuer}#"
    return "" if config.username_prefix == _NO_PREFIX else config.username_prefix


def _groups(claims: Mapping[str, Any], config: OidcConfig) -> tuple[str, ...]:
    """Groups of raypod's own are given by nobody else: a claim for one, without a prefix, is refused."""
    found = claims.get(config.groups_claim) if config.groups_claim else None
    values = [found] if isinstance(found, str) else found if isinstance(found, list) else []
    groups = tuple(f"{config.groups_prefix}{value}" for value in values if isinstance(value, str))
    if any(group.startswith("system:") for group in groups):
        raise TokenError("the token claims a group that begins with system:")
    return groups


async def fetch_url(url: str, ca_file: str) -> bytes:
    """An https document. Raises aiohttp.ClientError, TimeoutError, OSError."""
    if not url.startswith("https://"):
        raise aiohttp.InvalidURL(url)
    context = ssl.create_default_context(cafile=ca_file or None)
    timeout = aiohttp.ClientTimeout(total=_FETCH_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        async with session.get(url, ssl=context, allow_redirects=False) as reply:
            reply.raise_for_status()
            body = await reply.content.read(_DOCUMENT_BYTES_MAX)
            if not reply.content.at_eof():
                raise aiohttp.ClientPayloadError("the document is too large")
            return body

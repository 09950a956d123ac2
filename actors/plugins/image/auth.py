"""Getting past a registry's 401: Basic credentials, or a token from the token service it names (Bearer).

Sources: RFC 7235 (challenges), Docker's "Token Authentication Specification" and "OAuth2 Token Authentication".
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence

import msgspec
from yarl import URL

from actors.plugins.image.faults import Corrupt, NotPullable, Unreachable
from actors.plugins.image.port import Auth
from actors.plugins.image.transport import Transport, network_faults, parse_url

_CHALLENGE = re.compile(r"(?:^|,)\s*(Basic|Bearer)(?=\s|$)", re.IGNORECASE)
_PARAMETER = re.compile(r'([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_TOKEN_BYTES_MAX = 1 << 20


class Challenge(msgspec.Struct, frozen=True):
    """`scheme` is `basic` or `bearer`."""

    scheme: str
    parameters: dict[str, str] = {}


class _Token(msgspec.Struct, frozen=True):
    token: str | None = None
    access_token: str | None = None


def parse_challenges(headers: Sequence[str]) -> list[Challenge]:
    """The challenges of all WWW-Authenticate headers, Bearer first. Schemes of other kinds are left out."""
    found = []
    for header in headers:
        starts = [*_CHALLENGE.finditer(header)]
        ends = [*(match.start() for match in starts[1:]), len(header)]
        for start, end in zip(starts, ends, strict=False):
            parameters = {
                name.lower(): re.sub(r"\\(.)", r"\1", quoted) or plain
                for name, quoted, plain in _PARAMETER.findall(header[start.end() : end])
            }
            found.append(Challenge(start.group(1).lower(), parameters))
    return sorted(found, key=lambda challenge: challenge.scheme != "bearer")


def basic(auth: Auth) -> str:
    return "Basic " + b64encode(f"{auth.username}:{auth.password}".encode()).decode()


async def answer(transport: Transport, challenge: Challenge, auth: Auth, scope: str) -> str:
    """The Authorization header that meets the challenge, "" where we have none. Raises NotPullable, Unreachable."""
    if challenge.scheme == "basic":
        return basic(auth) if auth.username else ""
    realm = parse_url(challenge.parameters.get("realm", ""))
    query = {
        "service": challenge.parameters.get("service", ""),
        "scope": challenge.parameters.get("scope") or scope,
    }
    query = {key: value for key, value in query.items() if value}
    if auth.identity_token:
        form = {"grant_type": "refresh_token", "client_id": "raypod", "refresh_token": auth.identity_token, **query}
        return await _fetch_token(transport, "POST", realm, {}, form)
    headers = {"Authorization": basic(auth)} if auth.username else {}
    return await _fetch_token(transport, "GET", realm.update_query(query), headers)


async def _fetch_token(
    transport: Transport, method: str, url: URL, headers: Mapping[str, str], form: Mapping[str, str] | None = None
) -> str:
    async with transport.open(method, url, headers, form) as response:
        if response.status in (400, 401, 403):
            raise NotPullable(f"the token service {url.origin()} refuses these credentials")
        if response.status != 200:
            raise Unreachable(f"the token service {url.origin()} answers {response.status}")
        with network_faults(url):
            body = await response.content.read(_TOKEN_BYTES_MAX)
    try:
        found = msgspec.json.decode(body, type=_Token)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Corrupt(f"the token service {url.origin()} sends no token: {error}") from error
    token = found.token or found.access_token
    if not token or not token.isprintable():
        raise NotPullable(f"the token service {url.origin()} sends no token")
    return f"Bearer {token}"

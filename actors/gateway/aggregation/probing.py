"""Whether the server behind an APIService answers (kube-aggregator pkg/controllers/status), and what it serves."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import aiohttp
import msgspec

from actors.gateway.aggregation.link import ITSELF, context_for, identity_headers, route_to
from actors.gateway.aggregation.services import ApiService
from actors.gateway.openapi.merging import part_of
from actors.gateway.pki import Pair
from actors.gateway.served import RemoteVersion
from actors.remote.client import RemoteClient, read_bounded, told
from actors.remote.service import ServiceError
from actors.remote.target import RemoteError
from actors.store.port import StorePort

_SECONDS = 6
_BYTES_MAX = 16 << 20


class Verdict(NamedTuple):
    """Of the condition Available; `found` None where the server has not told what it serves."""

    status: str
    reason: str
    message: str
    found: RemoteVersion | None = None


LOCAL = Verdict("True", "Local", "Local APIServices are always available")


class Prober:
    def __init__(self, store: StorePort, client: RemoteClient, proxy: Pair | None) -> None:
        self._store, self._client, self._proxy = store, client, proxy

    async def probe(self, service: ApiService, before: RemoteVersion | None = None) -> Verdict:
        """Never raises. `before`: what was found the last time."""
        if service.spec.service is None:
            return LOCAL
        try:
            code, body, url, _ = await self._get(service, service.path)
        except ServiceError as error:
            return Verdict("False", error.reason, error.condition)
        except _Unanswered as error:
            return Verdict("False", "FailedDiscoveryCheck", f"failing or missing response from {error}")
        if not 200 <= code < 300:
            why = f"failing or missing response from {url}: bad status from {url}: {code}"
            return Verdict("False", "FailedDiscoveryCheck", why)
        spec = service.spec
        found = RemoteVersion(
            spec.group,
            spec.version,
            spec.group_priority_minimum,
            spec.version_priority,
            _resources(body),
            await self._openapi(service),
            True,
            *await self._swagger(service, before),
        )
        return Verdict("True", "Passed", "all checks passed", found)

    async def _openapi(self, service: ApiService) -> str:
        """The hash of its document of version 3."""
        try:
            code, body, *_ = await self._get(service, "/openapi/v3")
        except (_Unanswered, ServiceError):
            return ""
        found = _json(body).get("paths") if code == 200 else None
        entry = found.get(service.path[1:]) if isinstance(found, dict) else None
        if not isinstance(entry, dict):
            return ""
        query = parse_qs(urlsplit(str(entry.get("serverRelativeURL", ""))).query)
        return query.get("hash", [""])[0] or hashlib.sha256(body).hexdigest()[:32].upper()

    async def _swagger(self, service: ApiService, before: RemoteVersion | None) -> tuple[bytes, str]:
        """Its part of its document of version 2, and the tag by which it is asked whether that is still so."""
        known = (before.swagger, before.swagger_tag) if before is not None else (b"", "")
        try:
            code, body, _, tag = await self._get(service, "/openapi/v2", known[1])
        except (_Unanswered, ServiceError):
            return known
        if code == 304:
            return known
        return (await asyncio.to_thread(part_of, body, service.path), tag) if code == 200 else (b"", "")

    async def _get(self, service: ApiService, path: str, known: str = "") -> tuple[int, bytes, str, str]:
        """Status code, body, URL, tag of the body; of one that is `known`, none. Raises ServiceError, _Unanswered."""
        url = path
        try:
            async with asyncio.timeout(_SECONDS):
                route = await route_to(self._store, service, path)
                url = route.url
                headers = [*identity_headers(ITSELF), ("Host", route.name), ("Accept", "application/json")]
                headers += [("If-None-Match", known)] if known else []
                async with self._client.session.get(
                    url,
                    headers=headers,
                    ssl=context_for(service, self._proxy),
                    server_hostname=route.name,
                    allow_redirects=False,
                    skip_auto_headers=("Accept-Encoding",),
                ) as answer:
                    tag = answer.headers.get("ETag", "")
                    return answer.status, await read_bounded(answer, _BYTES_MAX), url, tag
        except ServiceError:
            raise
        except TimeoutError:
            raise _Unanswered(f"{url}: context deadline exceeded") from None
        except (aiohttp.ClientError, OSError) as error:
            raise _Unanswered(f'{url}: Get "{url}": {told(error)}') from error
        except RemoteError as error:
            raise _Unanswered(f"{url}: {error}") from error


class _Unanswered(Exception):
    """The text begins with the URL."""


def _json(body: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _resources(body: bytes) -> tuple[Any, ...]:
    """Of an APIResourceList, those rows that are such."""
    rows = _json(body).get("resources")
    named = (row for row in rows if isinstance(row, dict)) if isinstance(rows, list) else ()
    return tuple(row for row in named if isinstance(row.get("name"), str) and isinstance(row.get("kind"), str))

"""The way to a server behind a Service: its address now, TLS by the APIService's word, our certificate as the proxy."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from actors.gateway.aggregation.services import ApiService
from actors.gateway.auth.user import MASTERS, User
from actors.gateway.pki import Pair
from actors.gateway.proxy.rewriting import HOP_BY_HOP
from actors.remote.client import Route, make_context
from actors.remote.service import resolve_service
from actors.store.port import StorePort

#: As the aggregator itself asks; a server lets masters see everything.
ITSELF = User("system:kube-aggregator", (MASTERS,))
Headers = list[tuple[str, str]]


async def route_to(store: StorePort, service: ApiService, path_and_query: str) -> Route:
    """Raises ServiceError."""
    reference = service.spec.service
    assert reference is not None
    address = await resolve_service(store, reference.namespace, reference.name, reference.port or 443)
    host = f"[{address.host}]" if ":" in address.host else address.host
    return Route(f"https://{host}:{address.port}{path_and_query}", reference.host)


def context_for(service: ApiService, proxy: Pair | None) -> ssl.SSLContext:
    """Raises RemoteError for a caBundle that is none."""
    stamp = proxy.certificate.stat().st_mtime_ns if proxy is not None else 0
    return _context(service.roots, service.spec.insecure, proxy.certificate if proxy else None, stamp)


@lru_cache(maxsize=128)
def _context(roots: bytes, insecure: bool, certificate: Path | None, stamp: int) -> ssl.SSLContext:
    """`stamp` tells a renewed certificate from the one before."""
    context = make_context(roots, verify=not insecure)
    if certificate is not None:
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    return context


def identity_headers(user: User) -> Headers:
    """Who asks, for a server that trusts our certificate (client-go transport: SetAuthProxyHeaders)."""
    headers: Headers = [("X-Remote-User", _clean(user.name))]
    if user.uid:
        headers.append(("X-Remote-Uid", _clean(user.uid)))
    headers += [("X-Remote-Group", _clean(group)) for group in user.groups]
    for key, values in user.extra:
        headers += [(f"X-Remote-Extra-{quote(key, safe='')}", _clean(value)) for value in values]
    return headers


def _clean(text: str) -> str:
    """A header holds one line."""
    return "".join(char for char in text if char.isprintable())


_DROPPED = frozenset({*HOP_BY_HOP, "host", "authorization", "proxy-connection", "expect"})
_DROPPED_PREFIXES = ("x-remote-", "impersonate-")


def passed_headers(headers: Mapping[str, str]) -> Headers:
    """What goes on to the server: nothing that is between us and the client, and nothing that would tell who it is."""
    named = {word.strip().lower() for word in headers.get("Connection", "").split(",")}
    return [
        (name, value)
        for name, value in headers.items()
        if (lower := name.lower()) not in _DROPPED and lower not in named and not lower.startswith(_DROPPED_PREFIXES)
    ]


def answered_headers(headers: Mapping[str, str]) -> Headers:
    """What comes back to the client."""
    return [(name, value) for name, value in headers.items() if name.lower() not in (*_DROPPED, "server", "date")]

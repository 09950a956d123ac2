"""HTTPS to a user's server: one connection pool, the server's certificate checked against the configuration's roots.

Errors are worded as Go's client words them, for that is what people search for.
"""

from __future__ import annotations

import asyncio
import errno
import ssl
from functools import lru_cache
from typing import NamedTuple

import aiohttp
import msgspec

from actors.remote.service import resolve_service
from actors.remote.target import ClientConfig, RemoteError
from actors.store.port import StorePort

ANSWER_BYTES_MAX = 16 * 1024 * 1024
_TOLD_CHARS_MAX = 2048
_CONNECT_SECONDS = 30
_RETRIED = (aiohttp.ServerDisconnectedError, ConnectionResetError, BrokenPipeError)


class Route(NamedTuple):
    """`url` is what is connected to, `name` what the certificate must be for ("": the URL's host)."""

    url: str
    name: str = ""


@lru_cache(maxsize=256)
def client_context(roots: bytes) -> ssl.SSLContext:
    """One for all calls with the same roots. Raises RemoteError."""
    return make_context(roots)


def make_context(roots: bytes, verify: bool = True) -> ssl.SSLContext:
    """Trusts `roots` (PEM, b"" the machine's own) and nothing else. Raises RemoteError for roots that are none."""
    if not verify:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    else:
        try:
            context = ssl.create_default_context(cadata=roots.decode("ascii") if roots else None)
        except (ssl.SSLError, UnicodeDecodeError, ValueError) as error:
            raise RemoteError("unable to load root certificates: unable to parse bytes as PEM block") from error
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


class RemoteClient:
    """Used within one event loop. `close` ends its connections."""

    def __init__(self, store: StorePort) -> None:
        self._store = store
        self._session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            connector = aiohttp.TCPConnector(limit=0, limit_per_host=0, keepalive_timeout=30)
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=timeout, auto_decompress=False, trust_env=False
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def post(self, target: ClientConfig, body: bytes, timeout_seconds: int) -> bytes:
        """The answer's body, of a server that answers with success in time. Raises RemoteError."""
        shown = f"{target.shown_url}?timeout={timeout_seconds}s"
        context = client_context(target.roots)
        try:
            async with asyncio.timeout(timeout_seconds):
                route = await self.route(target, f"timeout={timeout_seconds}s")
                code, answer = await self._post(route, context, body)
        except RemoteError as error:
            raise RemoteError(f'Post "{shown}": {error}', error.status) from error
        except TimeoutError:
            raise RemoteError(f'Post "{shown}": context deadline exceeded') from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise RemoteError(f'Post "{shown}": {told(error)}') from error
        if not 200 <= code < 300:
            raise RemoteError(refusal_text(code, answer), code)
        return answer

    async def route(self, target: ClientConfig, query: str = "") -> Route:
        """Raises RemoteError."""
        service = target.service
        if service is None:
            return Route(f"{target.url}?{query}" if query else target.url or "")
        address = await resolve_service(self._store, service.namespace, service.name, service.port or 443)
        host = f"[{address.host}]" if ":" in address.host else address.host
        path = (service.path or "").lstrip("/")
        return Route(f"https://{host}:{address.port}/{path}" + (f"?{query}" if query else ""), service.host)

    async def _post(self, route: Route, context: ssl.SSLContext, body: bytes) -> tuple[int, bytes]:
        """Once more when a kept connection turns out to be closed: the server has then not read the request."""
        try:
            return await self._post_once(route, context, body)
        except _RETRIED:
            return await self._post_once(route, context, body)

    async def _post_once(self, route: Route, context: ssl.SSLContext, body: bytes) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json", "Accept": "application/json, */*"}
        headers |= {"User-Agent": "kube-apiserver-admission", **({"Host": route.name} if route.name else {})}
        async with self.session.post(
            route.url,
            data=body,
            headers=headers,
            ssl=context,
            server_hostname=route.name or None,
            allow_redirects=False,
        ) as response:
            return response.status, await read_bounded(response, ANSWER_BYTES_MAX)


async def read_bounded(response: aiohttp.ClientResponse, bytes_max: int) -> bytes:
    """Raises RemoteError for more."""
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > bytes_max:
            response.close()
            raise RemoteError(f"the answer is larger than {bytes_max} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


def told(error: Exception) -> str:
    """A failure to get through, as Go tells it."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return f"tls: failed to verify certificate: x509: {_certificate_text(error.certificate_error)}"
        case aiohttp.ClientConnectorDNSError():
            return f"dial tcp: lookup {error.host}: no such host"
        case aiohttp.ClientConnectorSSLError():
            return f"tls: {str(error.os_error) or 'handshake failure'}"
        case aiohttp.ClientConnectorError():
            return f"dial tcp {error.host}:{error.port}: connect: {_errno_text(error.os_error)}"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError():
            return "unexpected EOF"
        case ConnectionResetError():
            return "read: connection reset by peer"
    return str(error) or type(error).__name__


def _certificate_text(error: Exception) -> str:
    text = str(error)
    if "Hostname mismatch" in text or "IP address mismatch" in text:
        found = text.partition("certificate is not valid for ")[2].partition("'")[2].partition("'")[0]
        return f"certificate is not valid for {found}" if found else "certificate is not valid for this name"
    if "expired" in text:
        return "certificate has expired or is not yet valid"
    if "not yet valid" in text:
        return "certificate has expired or is not yet valid"
    return "certificate signed by unknown authority"


def _errno_text(error: OSError) -> str:
    names = {
        errno.ECONNREFUSED: "connection refused",
        errno.EHOSTUNREACH: "no route to host",
        errno.ENETUNREACH: "network is unreachable",
        errno.ETIMEDOUT: "connection timed out",
    }
    return names.get(error.errno or 0, (error.strerror or str(error)).lower())


def refusal_text(code: int, body: bytes) -> str:
    """Of an answer that is no success (apimachinery pkg/api/errors: NewGenericServerResponse)."""
    try:
        status = msgspec.json.decode(body)
        if isinstance(status, dict) and status.get("kind") == "Status" and status.get("message"):
            return str(status["message"])
    except msgspec.DecodeError:
        pass
    text = body[:_TOLD_CHARS_MAX].decode("utf-8", "replace").strip() or "unknown"
    fixed = {
        401: "the server has asked for the client to provide credentials",
        403: text,
        404: "the server could not find the requested resource",
        405: "the server does not allow this method on the requested resource",
        429: "the server has received too many requests and has asked us to try again later",
        503: "the server is currently unable to handle the request",
    }
    if code in fixed:
        return fixed[code]
    if code >= 500:
        return f'an error on the server ("{text}") has prevented the request from succeeding'
    return f"the server responded with the status code {code} but did not return more information"

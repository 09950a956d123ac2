"""One request, passed on to the server behind its group and version (kube-aggregator handler_proxy.go): every verb,
watches and upgrades too. The client has been authenticated and authorized; the server is told who it is.
"""

from __future__ import annotations

import asyncio
import ssl

import aiohttp
from aiohttp import web
from yarl import URL

from actors.gateway.aggregation.link import (
    Headers,
    answered_headers,
    context_for,
    identity_headers,
    passed_headers,
    route_to,
)
from actors.gateway.aggregation.services import ApiService
from actors.gateway.call import Call
from actors.gateway.pki import Pair
from actors.gateway.stream import STREAMING
from actors.gateway.streams.relay import relay
from actors.gateway.streams.upgrade import upgrade_asked
from actors.remote.client import RemoteClient, Route, told
from actors.remote.target import RemoteError

_UNAVAILABLE = "service unavailable"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CONNECT_SECONDS = 30.0


async def pass_on(call: Call, service: ApiService, client: RemoteClient, proxy: Pair | None) -> web.StreamResponse:
    """The server's answer, whatever it is; 503 where there is none."""
    if not service.is_available:
        return plain_text(_UNAVAILABLE, 503)
    raw = call.request.raw_path
    try:
        route = await route_to(call.store, service, raw)
        context = context_for(service, proxy)
    except RemoteError:
        return plain_text(_UNAVAILABLE, 503)
    headers = [*passed_headers(call.request.headers), *identity_headers(call.user), ("Host", route.name)]
    headers += [
        ("X-Forwarded-For", call.request.remote or ""),
        ("X-Forwarded-Host", call.request.headers.get("Host", "")),
    ]
    headers += [("X-Forwarded-Proto", "https"), ("X-Forwarded-Uri", raw)]
    try:
        if upgrade_asked(call.request.headers):
            return await _upgraded(call, route, context, headers)
        body = call.request.content if call.request.body_exists else None
        if body is not None:
            await call.invite_body()
        asked = client.session.request(
            call.request.method,
            URL(route.url, encoded=True),
            headers=headers,
            data=body,
            ssl=context,
            server_hostname=route.name,
            allow_redirects=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )
        async with asked as answer:
            return await _send(call, answer)
    except (aiohttp.ClientError, OSError, TimeoutError, EOFError) as error:
        if call.request.get(STREAMING) and call.request.transport is not None:
            call.request.transport.abort()
            raise ConnectionResetError("the server behind has gone") from error
        return plain_text(f"error trying to reach service: {told(error)}", 503)


async def _send(call: Call, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    """As it comes: what is written to a watch is seen at once."""
    if answer.status in _REDIRECTS and "Location" in answer.headers:
        return plain_text("the backend attempted to redirect this request, which is not permitted", 502)
    response = web.StreamResponse(status=answer.status, reason=answer.reason)
    for name, value in answered_headers(answer.headers):
        response.headers.add(name, value)
    if call.audit is not None:
        call.audit.started(answer.status)
    call.request[STREAMING] = True
    await response.prepare(call.request)
    stall_seconds = call.backend.config.write_stall_seconds
    async for chunk in answer.content.iter_any():
        async with asyncio.timeout(stall_seconds):
            await response.write(chunk)
    await response.write_eof()
    return response


def plain_text(text: str, code: int) -> web.Response:
    """As Go's http.Error answers."""
    headers = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}
    return web.Response(body=f"{text}\n".encode(), status=code, headers=headers)


async def _upgraded(call: Call, route: Route, context: ssl.SSLContext, headers: Headers) -> web.StreamResponse:
    """To any protocol: that is between the client and the server."""
    asked = [("Connection", "Upgrade"), ("Upgrade", call.request.headers.get("Upgrade", ""))]
    url = URL(route.url, encoded=True)
    connecting = asyncio.open_connection(url.host, url.port, ssl=context, server_hostname=route.name)
    async with asyncio.timeout(_CONNECT_SECONDS):
        reader, writer = await connecting
    return await relay(call, reader, writer, call.request.raw_path, [*headers, *asked])

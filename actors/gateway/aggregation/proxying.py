"""One request, passed on to the server behind its group and version (kube-aggregator handler_proxy.go): every verb,
watches and WebSockets too. The client has been authenticated and authorized; the server is told who it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl

import aiohttp
from aiohttp import WSMsgType, web
from yarl import URL

from actors.api.errors import BadRequest
from actors.gateway.aggregation.link import (
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
from actors.gateway.streams.upgrade import WEBSOCKET, upgrade_of, websocket_protocols
from actors.remote.client import RemoteClient, Route, told
from actors.remote.target import RemoteError

_UNAVAILABLE = "service unavailable"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MESSAGE_BYTES_MAX = 16 << 20


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
        if upgrade := upgrade_of(call.request.headers):
            if upgrade != WEBSOCKET:
                raise BadRequest("unable to upgrade: SPDY is not passed on: use WebSockets")
            return await _join_websockets(call, client, route, context, headers)
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
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
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


# --- WebSockets -------------------------------------------------------------------------------------------------


async def _join_websockets(
    call: Call, client: RemoteClient, route: Route, context: ssl.SSLContext, headers: list[tuple[str, str]]
) -> web.StreamResponse:
    """Two connections as one: messages go through as they are."""
    asked = websocket_protocols(call.request.headers)
    joining = client.session.ws_connect(
        URL(route.url, encoded=True),
        protocols=asked,
        headers=headers,
        ssl=context,
        server_hostname=route.name,
        autoping=True,
        max_msg_size=_MESSAGE_BYTES_MAX,
    )
    async with joining as server:
        protocols = (server.protocol,) if server.protocol else ()
        ours = web.WebSocketResponse(protocols=protocols, max_msg_size=_MESSAGE_BYTES_MAX, compress=False)
        if not ours.can_prepare(call.request).ok:
            raise BadRequest("Upgrade request required")
        if call.audit is not None:
            call.audit.started(101)
        call.request[STREAMING] = True
        await ours.prepare(call.request)
        pumps = {asyncio.create_task(_pump(ours, server)), asyncio.create_task(_pump(server, ours))}
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            with contextlib.suppress(ConnectionError, TimeoutError):
                await ours.close(code=server.close_code or 1000)
    return ours


_Socket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


async def _pump(source: _Socket, sink: _Socket) -> None:
    async for message in source:
        if message.type is WSMsgType.TEXT:
            await sink.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await sink.send_bytes(message.data)

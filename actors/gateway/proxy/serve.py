"""One proxied request: to the target as it came, and its answer back as it comes. Neither is held in memory.

Only HTML is, up to a bound, for the paths in it must lead through the proxy again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import quote

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from actors.api.errors import MethodNotAllowed
from actors.gateway.call import Call
from actors.gateway.proxy.backend import find_lines, reaching_failed
from actors.gateway.proxy.line import LineConnector, Lines
from actors.gateway.proxy.rewriting import Rewriter, end_to_end, forwarded
from actors.gateway.proxy.tunnel import tunnel
from actors.gateway.stream import STREAMING
from actors.gateway.streams.upgrade import upgrade_asked

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_HTML_BYTES_MAX = 4 << 20
_UNSTATED = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=30)


async def serve_proxy(call: Call) -> web.StreamResponse:
    """Raises NotFound, BadRequest, MethodNotAllowed, Unavailable."""
    if call.request.method not in METHODS:
        raise MethodNotAllowed("the server does not allow this method on the requested resource")
    lines = await find_lines(call)
    try:
        if upgrade_asked(call.request.headers):
            return await tunnel(call, lines, request_path(call))
        if not call.target.rest and call.request.method in ("GET", "HEAD"):
            return _redirect_to_root(call)
        return await _pass_on(call, lines)
    finally:
        await lines.close()


def proxy_prefix(call: Call) -> str:
    return "/" + "/".join(quote(segment, safe=":@!$&'()*+,;=~") for segment in call.target.segments)


def request_path(call: Call) -> str:
    """With the query, as the target is asked."""
    _, _, query = call.request.raw_path.partition("?")
    return (call.target.rest or "/") + (f"?{query}" if query else "")


def _redirect_to_root(call: Call) -> web.Response:
    """Relative paths of a page at the root would lead elsewhere without the slash."""
    _, _, query = call.request.raw_path.partition("?")
    location = f"{proxy_prefix(call)}/" + (f"?{query}" if query else "")
    return web.Response(status=301, headers={"Location": location})


async def _pass_on(call: Call, lines: Lines) -> web.StreamResponse:
    request = call.request
    shown = call.request.raw_path.partition("?")[0]
    headers = CIMultiDict(forwarded(request.headers.items(), shown, request.remote or ""))
    if "text/html" in request.headers.get("Accept", ""):
        headers.popall("Accept-Encoding", None)
    host = f"[{lines.host}]" if ":" in lines.host else lines.host
    url = URL(f"{'https' if lines.secure else 'http'}://{host}:{lines.port}{request_path(call)}", encoded=True)
    async with aiohttp.ClientSession(
        connector=LineConnector(lines), auto_decompress=False, skip_auto_headers=_UNSTATED, timeout=_TIMEOUT,
        cookie_jar=aiohttp.DummyCookieJar(), max_line_size=1 << 16, max_field_size=1 << 16,
    ) as client:  # fmt: skip
        try:
            answer = await client.request(request.method, url, headers=headers, data=_body(call), allow_redirects=False)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise reaching_failed(lines, error) from error
        async with answer:
            rewriter = Rewriter(proxy_prefix(call), (f"{host}:{lines.port}", host, request.headers.get("Host", "")))
            return await _send_back(call, answer, rewriter)


def _body(call: Call) -> AsyncIterator[bytes] | None:
    return call.request.content.iter_any() if call.request.body_exists else None


async def _send_back(call: Call, answer: aiohttp.ClientResponse, rewriter: Rewriter) -> web.StreamResponse:
    """A target that breaks off cuts the reply off, so that the client notices."""
    headers = CIMultiDict(end_to_end(answer.headers.items()))
    if "Location" in headers:
        headers["Location"] = rewriter.rewrite(headers["Location"])
    if _is_rewritten(call, answer):
        text = (await answer.read()).decode("utf-8", "surrogateescape")
        headers.popall("Content-Length", None)
        body = rewriter.rewrite_html(text).encode("utf-8", "surrogateescape")
        return web.Response(body=body, status=answer.status, reason=answer.reason, headers=headers)
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
    call.request[STREAMING] = True
    if call.audit is not None:
        call.audit.started(answer.status)
    await response.prepare(call.request)
    try:
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
    except (aiohttp.ClientError, TimeoutError) as error:
        if call.request.transport is not None:
            call.request.transport.abort()
        raise ConnectionResetError("the target has broken off") from error
    return response


def _is_rewritten(call: Call, answer: aiohttp.ClientResponse) -> bool:
    is_html = answer.headers.get("Content-Type", "").lower().startswith("text/html")
    plain = "Content-Encoding" not in answer.headers
    return is_html and plain and call.request.method != "HEAD" and (answer.content_length or 0) <= _HTML_BYTES_MAX

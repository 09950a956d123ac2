"""gzip for large answers to clients that accept it, as kube-apiserver does: only what is whole and worth it.

Small answers and watches are never compressed. The work is done in a thread; the event loop goes on meanwhile.
"""

from __future__ import annotations

import asyncio
import gzip

from aiohttp import web

_BYTES_MIN = 128 << 10
LEVEL = 1


async def compressed(request: web.BaseRequest, response: web.StreamResponse) -> web.StreamResponse:
    """The same response, its body smaller where that helps."""
    if not isinstance(response, web.Response) or response.prepared:
        return response
    body = response.body
    if not isinstance(body, bytes) or len(body) <= _BYTES_MIN or "Content-Encoding" in response.headers:
        return response
    if not accepts_gzip(request):
        return response
    response.body = await asyncio.to_thread(gzip.compress, body, LEVEL, mtime=0)
    response.headers["Content-Encoding"] = "gzip"
    response.headers.add("Vary", "Accept-Encoding")
    return response


def accepts_gzip(request: web.BaseRequest) -> bool:
    """`gzip;q=0` is a refusal (RFC 9110 12.5.3)."""
    for part in request.headers.get("Accept-Encoding", "").split(","):
        coding, _, parameters = part.partition(";")
        if coding.strip().lower() in ("gzip", "*"):
            return parameters.replace(" ", "").lower() not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False

"""Large lists, sent while they are made: neither the whole text nor its compressed form is ever in memory, and others
have their turn between two pieces.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterable, Sequence

from aiohttp import web

from actors.api.key import Stored
from actors.gateway.audit import Level
from actors.gateway.call import Call, few_warnings, format_warning
from actors.gateway.compression import LEVEL, accepts_gzip
from actors.gateway.stream import Stream

#: Below, an answer is sent as a whole, with its length.
_BYTES_MIN = 1 << 20
_GZIP = 31  # zlib's window bits for gzip's header and trailer


def is_large(call: Call, items: Sequence[Stored]) -> bool:
    """Whether a list of them is to be streamed. An audit rule that keeps answers needs it whole."""
    keeps = call.audit is not None and call.audit.level >= Level.REQUEST_RESPONSE
    return not keeps and sum(len(item.body) for item in items) > _BYTES_MIN


async def stream_list(call: Call, pieces: Iterable[bytes], content_type: str) -> web.StreamResponse:
    """Raises ConnectionError when the client has gone, or does not read."""
    stream = Stream(call.request, content_type, call.backend.config.write_stall_seconds)
    headers = stream.response.headers
    headers.update(call.granted.headers if call.granted is not None else {})
    for text in few_warnings(call.warnings):
        headers.add("Warning", format_warning(text))
    packer = zlib.compressobj(LEVEL, wbits=_GZIP) if accepts_gzip(call.request) else None
    if packer is not None:
        headers["Content-Encoding"] = "gzip"
        headers.add("Vary", "Accept-Encoding")
    for piece in pieces:
        shown = call.versioned(piece)
        await stream.write([shown if packer is None else await asyncio.to_thread(packer.compress, shown)])
        await asyncio.sleep(0)
    if packer is not None:
        await stream.write([packer.flush()])
    return stream.response

"""A proxied request that wants another protocol."""

from __future__ import annotations

import asyncio

from aiohttp import web

from actors.gateway.call import Call
from actors.gateway.proxy.backend import reaching_failed
from actors.gateway.proxy.line import Lines
from actors.gateway.proxy.rewriting import forwarded
from actors.gateway.streams.relay import relay


async def tunnel(call: Call, lines: Lines, path: str) -> web.StreamResponse:
    """Raises ApiError as long as the target has not answered."""
    request = call.request
    headers = forwarded(request.headers.items(), request.raw_path.partition("?")[0], request.remote or "", upgrade=True)
    host = f"[{lines.host}]" if ":" in lines.host else lines.host
    try:
        reader, writer = await asyncio.open_connection(
            sock=await lines.connect(), ssl=lines.secure, server_hostname="" if lines.secure else None
        )
        return await relay(call, reader, writer, path, [("Host", f"{host}:{lines.port}"), *headers])
    except (OSError, TimeoutError, EOFError) as error:
        raise reaching_failed(lines, error) from error

"""A proxied request that wants another protocol: its head is sent on, then bytes go both ways until one side ends."""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import web

from actors.api.errors import ApiError
from actors.gateway.call import Call
from actors.gateway.proxy.backend import reaching_failed
from actors.gateway.proxy.line import Lines
from actors.gateway.proxy.rewriting import forwarded
from actors.gateway.stream import STREAMING
from actors.gateway.streams.idle import Idle
from actors.gateway.streams.takeover import Taken, TakenBytes, take_over
from actors.nodelet.streams.frames import first_of

_HEAD_SECONDS = 30.0
_CHUNK_BYTES = 32 << 10


async def tunnel(call: Call, lines: Lines, path: str) -> web.StreamResponse:
    """Raises ApiError as long as the target has not answered."""
    try:
        reader, writer = await asyncio.open_connection(
            sock=await lines.connect(), ssl=lines.secure, server_hostname="" if lines.secure else None
        )
        writer.write(_head(call, lines, path))
        async with asyncio.timeout(_HEAD_SECONDS):
            first = await reader.read(_CHUNK_BYTES)
    except ApiError:
        raise
    except (OSError, TimeoutError) as error:
        raise reaching_failed(lines, error) from error
    if not first:
        raise reaching_failed(lines, EOFError("it has closed the connection"))
    call.request[STREAMING] = True
    if call.audit is not None:
        call.audit.started(101)
    near, idle = take_over(call.request), Idle(call.backend.config.stream_idle_seconds)
    with contextlib.suppress(ConnectionError):
        await near.write(first)
        await first_of(_there(near, writer, idle), _back(reader, near, idle), idle.expire())
    writer.close()
    return Taken(call.request)


def _head(call: Call, lines: Lines, path: str) -> bytes:
    request = call.request
    headers = forwarded(request.headers.items(), request.raw_path.partition("?")[0], request.remote or "", upgrade=True)
    host = f"[{lines.host}]" if ":" in lines.host else lines.host
    rows = [f"{request.method} {path} HTTP/1.1", f"Host: {host}:{lines.port}"]
    rows += [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(rows) + "\r\n\r\n").encode("utf-8", "surrogateescape")


async def _there(near: TakenBytes, writer: asyncio.StreamWriter, idle: Idle) -> None:
    while data := await near.read():
        idle.touch()
        writer.write(data)
        await writer.drain()


async def _back(reader: asyncio.StreamReader, near: TakenBytes, idle: Idle) -> None:
    while data := await reader.read(_CHUNK_BYTES):
        idle.touch()
        await near.write(data)

"""A request that wants another protocol, passed on: its head, then bytes both ways until one side ends.

Only a server that has switched protocols is sent what the client says next. To one that refuses, the connection is
still HTTP's, and ours: what came over it would be taken for requests that we have let through (CVE-2018-1002105).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

from aiohttp import web

from actors.gateway.call import Call
from actors.gateway.stream import STREAMING
from actors.gateway.streams.idle import Idle
from actors.gateway.streams.takeover import Taken, TakenBytes, take_over
from actors.nodelet.streams.frames import first_of

Headers = Iterable[tuple[str, str]]
_HEAD_SECONDS = 30.0
_REFUSAL_SECONDS = 10.0
_CHUNK_BYTES = 32 << 10
_SWITCHED = 101
_END = b"\r\n\r\n"


async def relay(
    call: Call,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    path: str,
    headers: Iterable[tuple[str, str]],
) -> web.StreamResponse:
    """`path` with its query. Raises OSError, TimeoutError, EOFError as long as the server has not answered."""
    rows = [f"{call.request.method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    writer.write(("\r\n".join(rows) + "\r\n\r\n").encode("utf-8", "surrogateescape"))
    try:
        async with asyncio.timeout(_HEAD_SECONDS):
            head = await reader.readuntil(_END)
        status = status_of(head)
    except (asyncio.LimitOverrunError, ValueError) as error:
        writer.close()
        raise OSError("what it has answered is no HTTP") from error
    except BaseException:
        writer.close()
        raise
    call.request[STREAMING] = True
    if call.audit is not None:
        call.audit.started(status)
    near = take_over(call.request)
    with contextlib.suppress(ConnectionError):
        if status == _SWITCHED:
            await near.write(head)
            idle = Idle(call.backend.config.stream_idle_seconds)
            await first_of(_there(near, writer, idle), _back(reader, near, idle), idle.expire())
        else:
            await near.write(closing(head))
            idle = Idle(_REFUSAL_SECONDS)
            await first_of(_back(reader, near, idle), idle.expire())
    writer.close()
    return Taken(call.request)


def status_of(head: bytes) -> int:
    """Raises ValueError."""
    version, code = head.split(b"\r\n", 1)[0].split(b" ")[:2]
    if not version.startswith(b"HTTP/1."):
        raise ValueError(version)
    return int(code)


def closing(head: bytes) -> bytes:
    """The head of an answer after which the connection ends."""
    first, *rows = head.removesuffix(_END).split(b"\r\n")
    kept = [row for row in rows if row.partition(b":")[0].strip().lower() not in (b"connection", b"keep-alive")]
    return b"\r\n".join([first, *kept, b"Connection: close"]) + _END


async def _there(near: TakenBytes, writer: asyncio.StreamWriter, idle: Idle) -> None:
    while data := await near.read():
        idle.touch()
        writer.write(data)
        await writer.drain()


async def _back(reader: asyncio.StreamReader, near: TakenBytes, idle: Idle) -> None:
    while data := await reader.read(_CHUNK_BYTES):
        idle.touch()
        await near.write(data)

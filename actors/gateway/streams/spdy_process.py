"""exec and attach over plain SPDY/3.1, as clients before WebSockets speak it: one stream for each of what they want.

kubelet pkg/kubelet/cri/streaming/remotecommand/httpstream.go. The terminal's sizes are JSON values in a row.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Sequence

import msgspec
from aiohttp import web

from actors.api.errors import Forbidden, Unavailable
from actors.api.streams import CLOSE, ERROR, RESIZE, STDERR, STDIN, STDOUT, StreamRequest, split_payload
from actors.gateway.call import Call
from actors.gateway.spdy.errors import SpdyError
from actors.gateway.stream import STREAMING
from actors.gateway.streams.channels import V1, V4, Codec
from actors.gateway.streams.idle import Idle
from actors.gateway.streams.spdy import SpdyConnection, SpdyStream
from actors.gateway.streams.takeover import Taken, take_over
from actors.nodelet.streams.frames import Frames, first_of

#: The second said that streams may be half closed, the third had sizes, the fourth tells the exit code.
PROTOCOLS = (V4, f"v3.{V1}", f"v2.{V1}", V1)
_OPENED_SECONDS = 30.0
_SIZE_CHARS_MAX = 200


async def open_spdy(call: Call, known: Sequence[str]) -> tuple[SpdyConnection, str]:
    """The connection, HTTP's no more, and the protocol on it. Raises Forbidden, as kube-apiserver does."""
    values = call.request.headers.getall("X-Stream-Protocol-Version", ())
    asked = [word.strip() for value in values for word in value.split(",")]
    chosen = next((protocol for protocol in asked if protocol in known), "" if asked else known[-1])
    if not chosen:
        words = f"client supports {asked}, server accepts {list(known)}"
        raise Forbidden(f"unable to upgrade: unable to negotiate protocol: {words}")
    call.request[STREAMING] = True
    if call.audit is not None:
        call.audit.started(101)
    taken = take_over(call.request)
    await taken.write(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
        f"X-Stream-Protocol-Version: {chosen}\r\n\r\n".encode()
    )
    return SpdyConnection(taken), chosen


async def serve_spdy_process(call: Call, request: StreamRequest, frames: Frames) -> web.StreamResponse:
    """Until the process has ended or the client has gone. Raises Forbidden before the connection is upgraded."""
    connection, protocol = await open_spdy(call, PROTOCOLS)
    idle = Idle(call.backend.config.stream_idle_seconds)
    work = _serve(connection, Codec(protocol), request, frames)
    with contextlib.suppress(SpdyError, TimeoutError):
        await first_of(connection.run(), work, connection.keep(idle), idle.expire())
    return Taken(call.request)


async def _serve(connection: SpdyConnection, codec: Codec, request: StreamRequest, frames: Frames) -> None:
    streams = await _accept(connection, request)
    if streams is not None:
        taking = [_take(streams[kind], frames, channel) for kind, channel in _INPUTS if kind in streams]
        await first_of(_give(streams, codec, frames), *(_then_wait(one) for one in taking))


_INPUTS = (("stdin", STDIN), ("resize", RESIZE))


async def _accept(connection: SpdyConnection, request: StreamRequest) -> dict[str, SpdyStream] | None:
    """None when the client has gone before. Raises TimeoutError."""
    wants = (("stdin", request.stdin), ("stdout", request.stdout), ("stderr", request.stderr))
    missing = {"error", *(kind for kind, wanted in wants if wanted)}
    streams: dict[str, SpdyStream] = {}
    async with asyncio.timeout(_OPENED_SECONDS):
        while missing or (request.tty and "resize" not in streams):
            stream = await connection.accept()
            if stream is None:
                return None
            kind = stream.headers.get("streamtype", "")
            missing.discard(kind)
            streams.setdefault(kind, stream)
    return streams


async def _then_wait(work: Awaitable[None]) -> None:
    """The end of an input is not the end of all."""
    await work
    await asyncio.Event().wait()


async def _take(stream: SpdyStream, frames: Frames, channel: int) -> None:
    if channel == RESIZE:
        await _take_sizes(stream, frames)
        return
    while data := await stream.read():
        for piece in split_payload(data):
            await frames.write(channel, piece)
    await frames.write(CLOSE, bytes([channel]))


async def _take_sizes(stream: SpdyStream, frames: Frames) -> None:
    text, decoder = "", json.JSONDecoder()
    while data := await stream.read():
        text = (text + data.decode("utf-8", "replace")).lstrip()
        while text:
            try:
                value, end = decoder.raw_decode(text)
            except ValueError:
                break
            text = text[end:].lstrip()
            await frames.write(RESIZE, json.dumps(value).encode())
        if len(text) > _SIZE_CHARS_MAX:
            return


async def _give(streams: dict[str, SpdyStream], codec: Codec, frames: Frames) -> None:
    outputs = {STDOUT: streams.get("stdout"), STDERR: streams.get("stderr")}
    status = msgspec.json.encode(Unavailable("the node has gone").to_status())
    while (found := await frames.read()) is not None:
        channel, payload = found
        if channel == ERROR:
            status = payload
            break
        if (stream := outputs.get(channel)) is not None:
            await stream.write(payload)
    if (end := codec.encode_end(status)) is not None:
        await streams["error"].write(end[1:])
    for stream in streams.values():
        await stream.close()

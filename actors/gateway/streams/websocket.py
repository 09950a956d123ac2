"""A process's streams over a WebSocket. Neither side is read faster than the other one takes it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
from aiohttp import WSMessage, WSMsgType, web

from actors.api.errors import BadRequest, Unavailable
from actors.api.streams import CLOSE, ERROR, RESIZE, STDERR, STDIN, STDOUT, StreamRequest, split_payload
from actors.gateway.call import Call
from actors.gateway.stream import STREAMING
from actors.gateway.streams.channels import PROTOCOLS, Codec
from actors.gateway.streams.idle import Idle
from actors.gateway.streams.upgrade import choose_protocol, websocket_protocols
from actors.nodelet.streams.frames import Frames, first_of

_MESSAGE_BYTES_MAX = 16 << 20
_TURN_MESSAGES = 64
_CLIENT_CHANNELS = frozenset({STDIN, RESIZE, CLOSE})


async def serve_websocket(call: Call, request: StreamRequest, frames: Frames) -> web.StreamResponse:
    """Until the process has ended or the client has gone. Raises BadRequest before the connection is upgraded."""
    codec = Codec(choose_protocol(websocket_protocols(call.request.headers), PROTOCOLS))
    socket = await open_websocket(call, codec.protocol)
    await _greet(socket, codec, request)
    idle = Idle(call.backend.config.stream_idle_seconds)
    try:
        await first_of(_send(socket, codec, frames, idle), _receive(socket, codec, frames, idle), idle.expire())
    finally:
        await socket.close()
    return socket


async def open_websocket(call: Call, protocol: str) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(
        protocols=(protocol,) if protocol else (),
        max_msg_size=_MESSAGE_BYTES_MAX,
        compress=False,
        timeout=1.0,
        autoping=False,
    )
    if not socket.can_prepare(call.request).ok:
        raise BadRequest("Upgrade request required")
    call.request[STREAMING] = True
    if call.audit is not None:
        call.audit.started(101)
    await socket.prepare(call.request)
    return socket


async def heard(socket: web.WebSocketResponse) -> AsyncIterator[WSMessage]:
    """All that the client says but pings, which are answered. Of many small messages others have their turn."""
    count = 0
    async for message in socket:
        count += 1
        if count % _TURN_MESSAGES == 0:
            await asyncio.sleep(0)
        if message.type is WSMsgType.PING:
            await socket.pong(message.data)
        elif message.type is not WSMsgType.PONG:
            yield message


async def send(socket: web.WebSocketResponse, codec: Codec, message: bytes) -> None:
    if codec.is_text:
        await socket.send_str(message.decode())
    else:
        await socket.send_bytes(message)


async def messages(socket: web.WebSocketResponse, codec: Codec, idle: Idle) -> AsyncIterator[tuple[int, bytes]]:
    """Channel and payload of each that the client sends, until it has gone or says what cannot be read."""
    async for message in heard(socket):
        idle.touch()
        if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT):
            continue
        data = message.data.encode() if isinstance(message.data, str) else message.data
        try:
            found = codec.decode(data)
        except BadRequest:
            return
        if found is not None:
            yield found


async def _greet(socket: web.WebSocketResponse, codec: Codec, request: StreamRequest) -> None:
    """An empty message on the lowest channel of ours: clients wait for it (kubelet's createWebSocketStreams)."""
    lowest = STDOUT if request.stdout else STDERR if request.stderr else ERROR
    await send(socket, codec, codec.encode(lowest, b""))


async def _send(socket: web.WebSocketResponse, codec: Codec, frames: Frames, idle: Idle) -> None:
    while (found := await frames.read()) is not None:
        idle.touch()
        channel, payload = found
        if channel in (STDOUT, STDERR):
            await send(socket, codec, codec.encode(channel, payload))
        elif channel == ERROR:
            end = codec.encode_end(payload)
            if end is not None:
                await send(socket, codec, end)
            return
    lost = Unavailable("the node has gone, and with it the word of how the command ended")
    end = codec.encode_end(msgspec.json.encode(lost.to_status()))
    if end is not None:
        await send(socket, codec, end)


async def _receive(socket: web.WebSocketResponse, codec: Codec, frames: Frames, idle: Idle) -> None:
    async for channel, payload in messages(socket, codec, idle):
        if channel in _CLIENT_CHANNELS:
            for piece in split_payload(payload):
                await frames.write(channel, piece)

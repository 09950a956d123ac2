"""Port-forward: SPDY inside a WebSocket (kubectl), plain SPDY, a WebSocket with two channels a port, or one that is a
connection (ours).

SPDY (kubelet pkg/kubelet/cri/streaming/portforward): for each connection the client opens a stream for errors and one
for data, both with the port and the number of the connection. v4.channel.k8s.io: channel 2n is the data of the n-th
port, 2n+1 its errors; each begins with the port's number, little-endian, and there is one connection a port.
connection.raypod.io: one connection to the one port, with the channels of v5.channel.k8s.io: 0 is what the client
says, 1 what is answered, 255 ends either of them (which v4 cannot say), 3 says why there is no connection.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence

from aiohttp import WSMsgType, web

from actors.api.errors import BadRequest
from actors.api.pod import Pod
from actors.api.streams import CLOSE, ERROR, STDIN, STDOUT, StreamRequest
from actors.gateway.call import Call
from actors.gateway.spdy.errors import SpdyError
from actors.gateway.streams.channels import V4, V4_BASE64, Codec
from actors.gateway.streams.forward import Dial, forward
from actors.gateway.streams.idle import Idle
from actors.gateway.streams.options import PORT_MAX, parse_ports
from actors.gateway.streams.pod import check_upgrade, read_pod
from actors.gateway.streams.spdy import STREAMS_MAX, SpdyConnection, SpdyStream, WebSocketBytes
from actors.gateway.streams.spdy_process import open_spdy
from actors.gateway.streams.takeover import Taken
from actors.gateway.streams.upgrade import WEBSOCKET, choose_protocol, websocket_protocols
from actors.gateway.streams.websocket import heard, messages, open_websocket, send
from actors.nodelet.streams.frames import Frames, first_of

PROTOCOL = "portforward.k8s.io"
TUNNEL = f"SPDY/3.1+{PROTOCOL}"
CONNECTION = "connection.raypod.io"
_PAIR_SECONDS = 30.0
_PORTS_MAX = 100


async def open_portforward(call: Call) -> web.StreamResponse:
    """Raises NotFound, BadRequest, Forbidden."""
    pod = await read_pod(call)
    upgrade = await check_upgrade(call)
    if upgrade != WEBSOCKET:
        connection, _ = await open_spdy(call, (PROTOCOL,))
        await serve_spdy(call, pod, connection)
        return Taken(call.request)
    protocol = choose_protocol(websocket_protocols(call.request.headers), (TUNNEL, CONNECTION, V4, V4_BASE64))
    if protocol == TUNNEL:
        socket = await open_websocket(call, protocol)
        await serve_spdy(call, pod, SpdyConnection(WebSocketBytes(socket)))
    else:
        ports = parse_ports(call.query)
        if not 1 <= len(ports) <= _PORTS_MAX:
            raise BadRequest(f'query parameter "ports" is required: between 1 and {_PORTS_MAX} of them')
        if protocol == CONNECTION and len(ports) != 1:
            raise BadRequest(f'query parameter "ports": {CONNECTION} is a connection to one')
        socket = await open_websocket(call, protocol)
        if protocol == CONNECTION:
            await _serve_connection(call, pod, ports[0], socket)
        else:
            await _serve_channels(call, pod, ports, socket, Codec(protocol))
    await socket.close()
    return socket


def dial_of(call: Call, pod: Pod, port: int) -> Dial:
    request = StreamRequest(
        verb="connect",
        namespace=call.target.namespace,
        pod=pod.metadata.name,
        pod_uid=pod.metadata.uid,
        port=port,
    )

    async def dial() -> Frames:
        return await call.backend.nodes.open_stream(pod.spec.node_name, request)

    return dial


def failure_words(pod: Pod, port: int, why: str) -> bytes:
    """The kubelet's sentence, which kubectl shows."""
    meta = pod.metadata
    return f"error forwarding port {port} to pod {meta.name}, uid {meta.uid}: {why}".encode() if why else b""


# SPDY


async def serve_spdy(call: Call, pod: Pod, connection: SpdyConnection) -> None:
    """Until the client has gone."""
    idle = Idle(call.backend.config.stream_idle_seconds)
    try:
        await first_of(connection.run(), _accept_all(call, pod, connection), connection.keep(idle), idle.expire())
    except SpdyError:
        return


async def _accept_all(call: Call, pod: Pod, connection: SpdyConnection) -> None:
    waiting: dict[str, SpdyStream] = {}
    async with asyncio.TaskGroup() as group:
        while (stream := await connection.accept()) is not None:
            kind, number = stream.headers.get("streamtype", ""), stream.headers.get("requestid", "")
            port = parse_port(stream.headers.get("port", ""))
            if kind not in ("error", "data") or port == 0 or len(waiting) >= STREAMS_MAX:
                stream.abort()
                await connection.reset(stream)
                continue
            other = waiting.pop(number, None)
            if other is None:
                waiting[number] = stream
                asyncio.get_running_loop().call_later(_PAIR_SECONDS, _give_up, waiting, number, stream)
                continue
            error, data = (stream, other) if kind == "error" else (other, stream)
            group.create_task(_serve_pair(call, pod, connection, port, error, data))


def _give_up(waiting: dict[str, SpdyStream], number: str, stream: SpdyStream) -> None:
    """Its other half has not come."""
    if waiting.get(number) is stream:
        del waiting[number]
        stream.abort()


async def _serve_pair(
    call: Call, pod: Pod, connection: SpdyConnection, port: int, error: SpdyStream, data: SpdyStream
) -> None:
    try:
        why = await forward(dial_of(call, pod, port), data)
        if why:
            await error.write(failure_words(pod, port, why))
        await data.close()
        await error.close()
    except ConnectionError:
        return
    finally:
        connection.forget(error, data)


def parse_port(word: str) -> int:
    """0 of what is none."""
    fits = word.isascii() and word.isdigit() and len(word) <= 5 and int(word) <= PORT_MAX
    return int(word) if fits else 0


# One connection


class _Connection:
    """Near end."""

    def __init__(self, socket: web.WebSocketResponse, idle: Idle) -> None:
        self._socket, self._idle = socket, idle
        self._inbox: asyncio.Queue[bytes] = asyncio.Queue(4)

    async def receive(self) -> None:
        """Until the client has gone."""
        async for message in heard(self._socket):
            self._idle.touch()
            if message.type is not WSMsgType.BINARY:
                continue
            if message.data[:1] == bytes([STDIN]) and len(message.data) > 1:
                await self._inbox.put(message.data[1:])
            elif message.data == bytes([CLOSE, STDIN]):
                await self._inbox.put(b"")

    async def read(self) -> bytes:
        return await self._inbox.get()

    async def write(self, data: bytes) -> None:
        self._idle.touch()
        await self._socket.send_bytes(bytes([STDOUT]) + data)

    async def close(self) -> None:
        await self._socket.send_bytes(bytes([CLOSE, STDOUT]))


async def _serve_connection(call: Call, pod: Pod, port: int, socket: web.WebSocketResponse) -> None:
    """Until both sides have said all they had, or one has gone."""
    idle = Idle(call.backend.config.stream_idle_seconds)
    connection = _Connection(socket, idle)

    async def serve() -> None:
        if why := await forward(dial_of(call, pod, port), connection):
            await socket.send_bytes(bytes([ERROR]) + failure_words(pod, port, why))

    await first_of(serve(), connection.receive(), idle.expire())


# Channels


class _Channel:
    """Near end of one port's connection."""

    def __init__(self, socket: web.WebSocketResponse, codec: Codec, number: int) -> None:
        self._socket, self._codec, self._number = socket, codec, number
        self.inbox: asyncio.Queue[bytes] = asyncio.Queue(4)

    async def read(self) -> bytes:
        return await self.inbox.get()

    async def write(self, data: bytes) -> None:
        await send(self._socket, self._codec, self._codec.encode(self._number, data))

    async def close(self) -> None:
        """The protocol cannot say so; then there is nothing more to hear, either."""
        raise ConnectionResetError("the port's connection has ended")


async def _serve_channels(
    call: Call, pod: Pod, ports: Sequence[int], socket: web.WebSocketResponse, codec: Codec
) -> None:
    """Until all connections have ended or the client has gone."""
    idle = Idle(call.backend.config.stream_idle_seconds)
    channels = [_Channel(socket, codec, 2 * n) for n in range(len(ports))]
    for number, port in enumerate(ports):
        for channel in (2 * number, 2 * number + 1):
            await send(socket, codec, codec.encode(channel, struct.pack("<H", port)))

    async def serve(number: int, port: int) -> None:
        if why := await forward(dial_of(call, pod, port), channels[number]):
            await send(socket, codec, codec.encode(2 * number + 1, failure_words(pod, port, why)))

    async def serve_all() -> None:
        await asyncio.gather(*(serve(number, port) for number, port in enumerate(ports)))

    await first_of(serve_all(), _receive(socket, codec, channels, idle), idle.expire())


async def _receive(socket: web.WebSocketResponse, codec: Codec, channels: Sequence[_Channel], idle: Idle) -> None:
    async for channel, payload in messages(socket, codec, idle):
        if payload and channel % 2 == 0 and channel // 2 < len(channels):
            await channels[channel // 2].inbox.put(payload)

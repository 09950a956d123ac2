"""Forwarded connections over SPDY without a socket: pairs of streams, refusals, resets, and who does not read."""

from __future__ import annotations

import asyncio
import struct

import pytest
from test_gateway_spdy import Client, control

from actors.gateway.spdy.headers import HeaderCoder
from actors.gateway.streams.forward import forward
from actors.gateway.streams.portforward import parse_port
from actors.gateway.streams.spdy import SpdyConnection, SpdyStream
from actors.nodelet.streams.frames import Frames, memory_pair
from actors.nodelet.streams.session import serve_connection
from actors.plugins.runtime.fake_streams import FakeConnection


class MemoryBytes:
    """A connection whose other end is the test."""

    def __init__(self) -> None:
        self.inbox: asyncio.Queue[bytes] = asyncio.Queue()
        self.sent = bytearray()
        self.taken = 0

    async def receive(self) -> bytes:
        data = await self.inbox.get()
        self.taken += 1
        return data

    async def send(self, data: bytes) -> None:
        self.sent += data
        await asyncio.sleep(0)


async def _echo() -> Frames:
    ours, theirs = memory_pair()
    task = asyncio.create_task(serve_connection(theirs, FakeConnection()))
    _TASKS.add(task)
    return ours


_TASKS: set[asyncio.Task[None]] = set()


def _answers(sent: bytes) -> dict[int, tuple[bytes, bool]]:
    """Of each stream: what was said on it, and whether it was ended."""
    found: dict[int, tuple[bytes, bool]] = {}
    at, coder = 0, HeaderCoder()
    while at < len(sent):
        first, second = struct.unpack_from(">II", sent, at)
        length, payload = second & 0xFFFFFF, sent[at + 8 : at + 8 + (second & 0xFFFFFF)]
        if first & 0x80000000:
            coder.decode(payload[4:]) if first & 0xFFFF == 2 else None
        else:
            said, _ = found.get(first, (b"", False))
            found[first] = (said + payload, bool(second >> 24 & 1))
        at += 8 + length
    return found


async def _opened(connection: SpdyConnection) -> SpdyStream:
    stream = await asyncio.wait_for(connection.accept(), 5)
    assert stream is not None
    return stream


async def test_what_is_said_comes_back_and_both_ends_end() -> None:
    wire, client = MemoryBytes(), Client()
    connection = SpdyConnection(wire)
    running = asyncio.create_task(connection.run())
    wire.inbox.put_nowait(client.open(1, streamtype="data", port="80", requestid="0"))
    stream = await _opened(connection)
    wire.inbox.put_nowait(client.data(1, b"hello") + client.data(1, b"", fin=True))
    assert await asyncio.wait_for(forward(_echo, stream), 5) == ""
    assert _answers(bytes(wire.sent)) == {1: (b"hello", True)}
    wire.inbox.put_nowait(b"")
    await running


async def test_a_reset_ends_the_connection_to_the_pod() -> None:
    wire, client = MemoryBytes(), Client()
    connection = SpdyConnection(wire)
    running = asyncio.create_task(connection.run())
    wire.inbox.put_nowait(client.open(1))
    forwarding = asyncio.create_task(forward(_echo, await _opened(connection)))
    wire.inbox.put_nowait(control(3, struct.pack(">II", 1, 5)))
    assert await asyncio.wait_for(forwarding, 5) == ""
    running.cancel()


async def test_a_stream_that_is_not_read_stops_the_connection() -> None:
    """And with it the client: memory stays bounded."""
    wire, client = MemoryBytes(), Client()
    connection = SpdyConnection(wire)
    running = asyncio.create_task(connection.run())
    wire.inbox.put_nowait(client.open(1))
    stream = await _opened(connection)
    for _ in range(100):
        wire.inbox.put_nowait(client.data(1, bytes(64 << 10)))
    await asyncio.sleep(0.05)
    assert wire.taken < 10
    seen = 0
    while seen < 100 * (64 << 10):
        seen += len(await asyncio.wait_for(stream.read(), 5))
    running.cancel()


async def test_a_client_that_goes_ends_every_stream() -> None:
    wire, client = MemoryBytes(), Client()
    connection = SpdyConnection(wire)
    running = asyncio.create_task(connection.run())
    wire.inbox.put_nowait(client.open(1))
    stream = await _opened(connection)
    wire.inbox.put_nowait(b"")
    assert await asyncio.wait_for(stream.read(), 5) == b""
    assert await connection.accept() is None
    with pytest.raises(ConnectionError):
        await stream.write(b"x")
    await running


@pytest.mark.parametrize(("word", "port"), [("80", 80), ("65535", 65535), ("65536", 0), ("", 0), ("-1", 0), ("٣", 0)])
def test_ports_in_headers(word: str, port: int) -> None:
    assert parse_port(word) == port

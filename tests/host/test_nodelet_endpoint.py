"""The node's listener: who has a ticket gets its stream, once; nobody else gets a byte."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from actors.api.errors import TooManyRequests
from actors.api.streams import STDIN, STDOUT, StreamRequest
from actors.nodelet.streams import endpoint as module
from actors.nodelet.streams.certificate import make_certificate
from actors.nodelet.streams.endpoint import StreamEndpoint, redeem
from actors.plugins.runtime.fake_streams import FakeConnection
from actors.plugins.runtime.port import Connection, Streams

REQUEST = StreamRequest(verb="connect", namespace="default", pod="web", pod_uid="1", port=80)


@pytest.fixture
async def endpoint(tmp_path: Path) -> AsyncIterator[StreamEndpoint]:
    async def open_(request: StreamRequest) -> Streams | Connection:
        return FakeConnection()

    endpoint = StreamEndpoint("127.0.0.1", 0, tmp_path, open_)
    yield endpoint
    await endpoint.close()


async def test_a_ticket_is_good_once(endpoint: StreamEndpoint) -> None:
    ticket = await endpoint.issue(REQUEST)
    frames = await redeem(ticket)
    await frames.write(STDIN, b"hello")
    assert await frames.read() == (STDOUT, b"hello")
    again = await redeem(ticket)
    assert await again.read() is None
    await frames.close()
    await again.close()


async def test_a_wrong_token_is_hung_up_on(endpoint: StreamEndpoint) -> None:
    ticket = msgspec.structs.replace(await endpoint.issue(REQUEST), token="0" * 64)
    frames = await redeem(ticket)
    assert await frames.read() is None
    await frames.close()


async def test_a_ticket_is_good_for_a_while_only(endpoint: StreamEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TICKET_SECONDS", -1.0)
    frames = await redeem(await endpoint.issue(REQUEST))
    assert await frames.read() is None
    await frames.close()


async def test_who_says_nothing_is_hung_up_on(endpoint: StreamEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_HANDSHAKE_SECONDS", 0.3)
    ticket = await endpoint.issue(REQUEST)
    reader, writer = await asyncio.open_connection(ticket.address, ticket.port, ssl=_unchecked())
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()


def _unchecked() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def test_nothing_is_said_in_the_clear(endpoint: StreamEndpoint) -> None:
    ticket = await endpoint.issue(REQUEST)
    reader, writer = await asyncio.open_connection(ticket.address, ticket.port)
    writer.write(ticket.token.encode())
    assert b"hello" not in await asyncio.wait_for(reader.read(), 15)
    writer.close()


async def test_another_node_in_its_place_is_not_believed(endpoint: StreamEndpoint, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    _, certificate = make_certificate(tmp_path / "other")
    ticket = msgspec.structs.replace(await endpoint.issue(REQUEST), certificate=certificate)
    with pytest.raises(ssl.SSLCertVerificationError):
        await redeem(ticket)


async def test_its_key_is_its_own(endpoint: StreamEndpoint, tmp_path: Path) -> None:
    await endpoint.issue(REQUEST)
    assert (tmp_path / "streams.pem").stat().st_mode & 0o777 == 0o600


async def test_there_is_an_end_to_how_many(endpoint: StreamEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STREAMS_MAX", 2)
    await endpoint.issue(REQUEST)
    await endpoint.issue(REQUEST)
    with pytest.raises(TooManyRequests):
        await endpoint.issue(REQUEST)


async def test_garbage_after_the_token_ends_it(endpoint: StreamEndpoint) -> None:
    ticket = await endpoint.issue(REQUEST)
    reader, writer = await asyncio.open_connection(ticket.address, ticket.port, ssl=_unchecked())
    writer.write(ticket.token.encode() + b"\x00\xff\xff\xff\xff")
    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()


async def test_a_gateway_that_dies_without_a_word_ends_its_streams(endpoint: StreamEndpoint) -> None:
    ticket = await endpoint.issue(REQUEST)
    frames = await redeem(ticket)
    await frames.write(STDIN, b"x")
    assert await frames.read() == (STDOUT, b"x")
    assert len(endpoint._serving) == 1
    sock: socket.socket = frames._writer.get_extra_info("socket")
    sock.shutdown(socket.SHUT_RDWR)
    for _ in range(500):
        if not endpoint._serving:
            break
        await asyncio.sleep(0.01)
    assert not endpoint._serving

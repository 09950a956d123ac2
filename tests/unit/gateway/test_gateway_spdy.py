"""SPDY/3.1 against a client made of the same coder: whatever the pieces that bytes come in, the events are the same."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.gateway.spdy.errors import SpdyError
from actors.gateway.spdy.headers import DICTIONARY, HeaderCoder
from actors.gateway.spdy.session import Event, GoneAway, Opened, Received, Reset, Session


class Client:
    """Writes what a client would."""

    def __init__(self) -> None:
        self.coder = HeaderCoder()

    def open(self, stream: int, *, fin: bool = False, **headers: str) -> bytes:
        payload = struct.pack(">IIH", stream, 0, 0) + self.coder.encode(headers)
        return control(1, payload, fin)

    @staticmethod
    def data(stream: int, data: bytes, *, fin: bool = False) -> bytes:
        return struct.pack(">II", stream, fin << 24 | len(data)) + data


def control(kind: int, payload: bytes, fin: bool = False, version: int = 3) -> bytes:
    return struct.pack(">HHI", 0x8000 | version, kind, fin << 24 | len(payload)) + payload


def test_the_dictionary_is_the_one_of_the_specification() -> None:
    """Its checksum is in the head of every compressed block."""
    assert (len(DICTIONARY), zlib.adler32(DICTIONARY)) == (1423, 0xE3C6A7C2)


def test_a_stream_from_its_opening_to_its_end() -> None:
    client, session = Client(), Session()
    text = client.open(1, streamtype="data", port="80") + client.data(1, b"abc") + client.data(1, b"", fin=True)
    assert session.receive(text) == [
        Opened(1, {"streamtype": "data", "port": "80"}),
        Received(1, b"abc"),
        Received(1, b"", ended=True),
    ]
    session.reply(1)
    session.send(1, b"xyz", end=True)
    answer = session.take()
    assert struct.unpack_from(">HH", answer) == (0x8003, 2)
    assert answer.endswith(struct.pack(">II", 1, 1 << 24 | 3) + b"xyz")
    assert session.take() == b""


@given(st.lists(st.binary(max_size=60), max_size=6), st.data())
def test_pieces_do_not_matter(chunks: list[bytes], data: st.DataObject) -> None:
    client = Client()
    text = client.open(1, streamtype="error") + client.open(3, streamtype="data", requestid="0")
    text += b"".join(client.data(3, chunk) for chunk in chunks) + client.data(3, b"", fin=True)
    text += control(3, struct.pack(">II", 1, 5)) + control(7, struct.pack(">II", 0, 0))
    session, events, at = Session(), [], 0
    while at < len(text):
        size = data.draw(st.integers(1, 40))
        events += session.receive(text[at : at + size])
        at += size
    assert [type(event) for event in events if not isinstance(event, Received)] == [Opened, Opened, Reset, GoneAway]
    said = [event for event in events if isinstance(event, Received)]
    assert b"".join(event.data for event in said) == b"".join(chunks)
    assert [event.ended for event in said].count(True) == 1 and said[-1].ended


def test_a_large_frame_is_not_waited_for() -> None:
    """16 MiB in one frame would be held in memory."""
    client, session = Client(), Session()
    session.receive(client.open(1))
    head = struct.pack(">II", 1, 1 << 24 | 0xFFFFFF)
    assert session.receive(head + b"x" * 1000) == [Received(1, b"x" * 1000)]
    assert session.receive(b"y") == [Received(1, b"y")]


def test_a_ping_comes_back_and_one_of_ours_does_not() -> None:
    session = Session()
    session.receive(control(6, struct.pack(">I", 7)) + control(6, struct.pack(">I", 8)))
    assert session.take() == control(6, struct.pack(">I", 7))


def test_what_is_not_understood_is_passed_over() -> None:
    client, session = Client(), Session()
    settings, window = control(4, struct.pack(">III", 1, 7, 65536)), control(9, struct.pack(">II", 1, 100))
    first = client.open(1)
    extra = control(8, struct.pack(">I", 1) + client.coder.encode({"more": "headers"}))
    found = session.receive(settings + first + window + extra + client.open(3, port="1"))
    assert found == [Opened(1, {}), Opened(3, {"port": "1"})], "the inflater is still in step"


@pytest.mark.parametrize(
    "text",
    [
        control(1, struct.pack(">IIH", 2, 0, 0) + HeaderCoder().encode({})),
        control(1, struct.pack(">IIH", 1, 0, 0) + b"no zlib"),
        control(1, b"short"),
        control(6, b""),
        control(1, b"", version=2),
        struct.pack(">HHI", 0x8003, 1, 0xFFFFFF),
    ],
)
def test_who_does_not_keep_to_the_protocol(text: bytes) -> None:
    with pytest.raises(SpdyError):
        Session().receive(text)


def _packed(block: bytes) -> bytes:
    deflate = zlib.compressobj(zdict=DICTIONARY)
    return deflate.compress(block) + deflate.flush(zlib.Z_SYNC_FLUSH)


@pytest.mark.parametrize(
    "block",
    [
        struct.pack(">I", 1 << 30),
        struct.pack(">II", 1, 1 << 31) + b"x",
        struct.pack(">I", 1),
        struct.pack(">II", 1, 1) + b"\xff" + struct.pack(">I", 0),
        bytes(10 << 20),
    ],
    ids=["count", "length", "cut", "utf-8", "bomb"],
)
def test_hostile_header_blocks(block: bytes) -> None:
    with pytest.raises(SpdyError):
        HeaderCoder().decode(_packed(block)) or pytest.fail("taken")


@given(st.binary(max_size=300))
def test_garbage_ends_in_an_error_of_its_own(text: bytes) -> None:
    session = Session()
    try:
        events: list[Event] = session.receive(text)
    except SpdyError:
        return
    assert all(isinstance(event, Opened | Received | Reset | GoneAway) for event in events)


def test_a_stream_may_not_be_opened_twice() -> None:
    client, session = Client(), Session()
    session.receive(client.open(3))
    with pytest.raises(SpdyError, match="may not be opened"):
        session.receive(client.open(3))

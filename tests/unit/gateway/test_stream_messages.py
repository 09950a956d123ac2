"""What a client asks of a stream, and how each protocol puts it into messages."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.api.errors import BadRequest
from actors.api.streams import exit_status
from actors.gateway.options import parse_query
from actors.gateway.streams.channels import PROTOCOLS, V1, V1_BASE64, V4, V4_BASE64, V5, Codec
from actors.gateway.streams.options import StreamOptions, parse_attach, parse_exec, parse_ports
from actors.gateway.streams.upgrade import choose_protocol, upgrade_of, websocket_protocols


def test_a_command_of_many_words() -> None:
    words = "&".join(f"command=word{n}" for n in range(1000))
    options = parse_exec(parse_query(f"{words}&stdout=true&container=main"))
    assert (len(options.command), options.command[999], options.container) == (1000, "word999", "main")


def test_a_terminal_has_no_stderr() -> None:
    found = parse_attach(parse_query("stdin=1&stdout=true&stderr=true&tty=true"))
    assert found == StreamOptions(stdin=True, stdout=True, stderr=False, tty=True)


@pytest.mark.parametrize("query", ["command=ls", "command=ls&stdout=false", "command=ls&tty=true&stderr=true"])
def test_nothing_to_talk_over(query: str) -> None:
    with pytest.raises(BadRequest, match="at least 1 of stdin, stdout, stderr"):
        parse_exec(parse_query(query))


def test_nothing_to_execute() -> None:
    with pytest.raises(BadRequest, match="at least one command"):
        parse_exec(parse_query("stdout=true"))


@pytest.mark.parametrize(("query", "ports"), [("ports=80&ports=443", (80, 443)), ("ports=80,443", (80, 443)), ("", ())])
def test_ports(query: str, ports: tuple[int, ...]) -> None:
    assert parse_ports(parse_query(query)) == ports


@pytest.mark.parametrize("word", ["0", "65536", "-1", "http", "", "80 ", "٣"])
def test_what_is_no_port(word: str) -> None:
    with pytest.raises(BadRequest, match="must be between 1 and 65535"):
        parse_ports({"ports": [word]})


@given(st.sampled_from(PROTOCOLS), st.integers(0, 4), st.binary(max_size=100))
def test_every_protocol_says_back_what_it_was_told(protocol: str, channel: int, payload: bytes) -> None:
    codec = Codec(protocol)
    assert codec.decode(codec.encode(channel, payload)) == (channel, payload)


def test_messages_as_text() -> None:
    assert Codec(V4_BASE64).encode(1, b"hi") == b"1" + base64.b64encode(b"hi")
    with pytest.raises(BadRequest):
        Codec(V4_BASE64).decode(b"0not base64!")


def test_only_the_fifth_protocol_closes_a_channel() -> None:
    assert Codec(V5).decode(b"\xff\x00") == (255, b"\x00")
    assert Codec(V4).decode(b"\xff\x00") is None


@pytest.mark.parametrize("protocol", ["", V1, V1_BASE64])
def test_the_first_protocols_tell_a_failure_as_text_and_nothing_of_success(protocol: str) -> None:
    codec = Codec(protocol)
    assert codec.encode_end(json.dumps(exit_status(0)).encode()) is None
    end = codec.encode_end(json.dumps(exit_status(3)).encode())
    assert end is not None
    assert codec.decode(end) == (3, b"command terminated with non-zero exit code: exit code 3")


def test_the_later_ones_tell_a_status() -> None:
    end = Codec(V5).encode_end(json.dumps(exit_status(0)).encode())
    assert end is not None
    assert json.loads(end[1:]) == exit_status(0)


def test_the_first_protocol_of_the_client_that_is_known() -> None:
    assert choose_protocol(["v9.channel.k8s.io", V4, V5], PROTOCOLS) == V4
    assert choose_protocol([], PROTOCOLS) == ""
    with pytest.raises(BadRequest, match="unable to negotiate protocol"):
        choose_protocol(["v9.channel.k8s.io"], PROTOCOLS)
    assert websocket_protocols({"Sec-WebSocket-Protocol": f"{V5},{V4}, "}) == [V5, V4]


@pytest.mark.parametrize(
    ("connection", "upgrade", "found"),
    [
        ("Upgrade", "websocket", "websocket"),
        ("keep-alive, upgrade", "WebSocket", "websocket"),
        ("Upgrade", "SPDY/3.1", "spdy/3.1"),
        ("close", "websocket", ""),
        ("Upgrade", "h2c", ""),
    ],
)
def test_what_a_connection_is_to_become(connection: str, upgrade: str, found: str) -> None:
    assert upgrade_of({"Connection": connection, "Upgrade": upgrade}) == found

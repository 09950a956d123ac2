"""Ports and places as they are typed, and what the end of a command says."""

from __future__ import annotations

import pytest

from raypod.cli.files import parse_place
from raypod.errors import ApiError, CommandNotStarted
from raypod.execution import _exit_code
from raypod.forwarding import Forwarding, parse_port


@pytest.mark.parametrize(
    ("word", "parsed"), [(8080, (8080, 8080)), ("8080", (8080, 8080)), ("5:80", (5, 80)), (":80", (0, 80)), ("0:80", (0, 80))]
)  # fmt: skip
def test_ports(word: int | str, parsed: tuple[int, int]) -> None:
    assert parse_port(word) == parsed


@pytest.mark.parametrize("word", ["", "0", "x", "80:0", "70000", "80:70000", "-1", "1:2:3", "80 ", "٣", True])
def test_what_is_no_port(word: str) -> None:
    with pytest.raises(ValueError, match="no port"):
        parse_port(word)


def test_udp_is_refused() -> None:
    with pytest.raises(ValueError, match="only TCP"):
        parse_port("53/udp")
    with pytest.raises(ValueError, match="name a port"):
        Forwarding(None, [], "", print)  # type: ignore[arg-type]  # nothing is connected


def test_places() -> None:
    assert parse_place("train:/data") == ("train", "/data")
    assert parse_place("train:") == ("train", "")
    assert parse_place("./a:b") is None
    assert parse_place("/a:b") is None


def test_exit_codes() -> None:
    ended = {"reason": "NonZeroExitCode", "details": {"causes": [{"reason": "ExitCode", "message": "7"}]}}
    assert _exit_code(ended | {"status": "Failure"}) == 7
    words = "Internal error occurred: error executing command in container: exec: no"
    missing = {"reason": "InternalError", "message": words, "details": {"causes": [{"message": words}]}}
    with pytest.raises(ApiError, match="Internal error"):
        _exit_code(missing)
    missing["details"]["causes"].append({"reason": "ExitCode", "message": "127"})
    with pytest.raises(CommandNotStarted) as caught:
        _exit_code(missing)
    assert (str(caught.value), caught.value.exit_code) == ("exec: no", 127)

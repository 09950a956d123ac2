"""Frames, sizes and the word on how a command ended."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.api.streams import (
    HEAD_BYTES,
    PAYLOAD_BYTES_MAX,
    FrameError,
    encode_frame,
    exit_status,
    parse_head,
    parse_size,
    split_payload,
)


@given(st.integers(0, 255), st.binary(max_size=200))
def test_a_frame_says_how_long_it_is(channel: int, payload: bytes) -> None:
    frame = encode_frame(channel, payload)
    assert parse_head(frame[:HEAD_BYTES]) == (channel, len(payload))
    assert frame[HEAD_BYTES:] == payload


def test_a_frame_that_would_fill_the_memory_is_refused() -> None:
    with pytest.raises(FrameError, match="at most 65536"):
        parse_head(b"\x00\xff\xff\xff\xff")


@given(st.integers(0, 3 * PAYLOAD_BYTES_MAX))
def test_what_is_split_fits_and_is_all_there(length: int) -> None:
    pieces = list(split_payload(bytes(length)))
    assert sum(map(len, pieces)) == length
    assert all(len(piece) <= PAYLOAD_BYTES_MAX for piece in pieces)
    assert len(pieces) >= 1, "an empty message is one, too"


def test_an_exit_code_is_a_cause() -> None:
    assert exit_status(0) == {"metadata": {}, "status": "Success"}
    told = exit_status(7)
    assert (told["status"], told["reason"]) == ("Failure", "NonZeroExitCode")
    assert told["details"]["causes"] == [{"reason": "ExitCode", "message": "7"}]


@pytest.mark.parametrize("text", [b"", b"{}", b"[1,2]", b'{"Width":0,"Height":1}', b'{"Width":70000,"Height":1}'])
def test_a_size_that_is_none_is_ignored(text: bytes) -> None:
    assert parse_size(text) is None


def test_a_size() -> None:
    assert parse_size(b'{"Width":120,"Height":40}') == (120, 40)

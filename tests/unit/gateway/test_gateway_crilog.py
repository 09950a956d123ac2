from __future__ import annotations

import pytest

from actors.gateway.crilog import LogText, since_of

T1, T2 = b"2026-11-23T10:00:00.1Z", b"2026-11-23T10:00:00.2Z"


def test_lines_pieces_and_streams() -> None:
    lines = T1 + b" stdout P hel\n" + T1 + b" stdout F lo world\n" + T2 + b" stderr F oops\n" + T2 + b" stdout F\n"
    assert LogText().feed(lines) == b"hello world\noops\n\n"
    assert LogText(timestamps=True).feed(lines) == b"%b hello world\n%b oops\n%b \n" % (T1, T2, T2)
    assert LogText(stream="Stderr").feed(lines) == b"oops\n"
    assert LogText(stream="All").feed(lines) == b"hello world\noops\n\n"


def test_a_line_may_span_chunks() -> None:
    text = LogText(timestamps=True)
    assert text.feed(T1 + b" stdout P a\n") + text.feed(T2 + b" stdout F b\n") == T1 + b" ab\n"


def test_limit() -> None:
    text = LogText(bytes_max=5)
    assert (text.feed(T1 + b" stdout F abc\n"), text.is_full) == (b"abc\n", False)
    assert (text.feed(T1 + b" stdout F def\n"), text.is_full) == (b"d", True)
    assert text.feed(T1 + b" stdout F ghi\n") == b""


def test_what_is_not_cri_is_shown_as_it_is() -> None:
    assert LogText().feed(b"half a li\n") == b"half a li\n"


def test_since() -> None:
    assert since_of(None, "", 5000) == 0
    assert since_of(2, "", 5000) == 3000
    assert since_of(None, "1970-01-01T00:00:01Z", 5000) == 1000
    with pytest.raises(ValueError):
        since_of(None, "yesterday", 0)

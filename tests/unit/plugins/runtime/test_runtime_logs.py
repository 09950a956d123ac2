"""The CRI log format and the files around it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.plugins.runtime.launcher.log_file import LogFile, list_rotated
from actors.plugins.runtime.launcher.log_format import LINE_BYTES_MAX, format_lines, format_stamp, measure_whole

STAMP = "2026-11-23T10:20:30.123456789Z"


def test_stamp() -> None:
    assert format_stamp(1_795_429_230_000_000_001) == "2026-11-23T10:20:30.000000001Z"


def test_lines() -> None:
    text = format_lines(b"one\n\nthree\n", "stdout", STAMP, "P")
    assert text == f"{STAMP} stdout F one\n{STAMP} stdout F \n{STAMP} stdout F three\n".encode()


@pytest.mark.parametrize("tag", ["F", "P"])
def test_what_stands_behind_the_last_newline(tag: str) -> None:
    assert format_lines(b"a\nb", "stderr", STAMP, tag) == f"{STAMP} stderr F a\n{STAMP} stderr {tag} b\n".encode()


def test_a_long_line_is_split() -> None:
    line = b"x" * (LINE_BYTES_MAX * 2 + 5)
    found = format_lines(line + b"\n", "stdout", STAMP, "P").splitlines()
    assert [entry.split(b" ")[2] for entry in found] == [b"P", b"P", b"F"]
    assert [len(entry.split(b" ")[3]) for entry in found] == [LINE_BYTES_MAX, LINE_BYTES_MAX, 5]


@pytest.mark.parametrize(
    ("output", "length"),
    [
        (b"", 0),
        (b"no newline", 0),
        (b"a\nb", 2),
        (b"a\n", 2),
        (b"x" * LINE_BYTES_MAX, LINE_BYTES_MAX),
        (b"\n" + b"x" * (LINE_BYTES_MAX + 3), LINE_BYTES_MAX + 1),
    ],
)
def test_how_much_can_be_written_now(output: bytes, length: int) -> None:
    assert measure_whole(output) == length


@given(st.binary(max_size=200).map(lambda part: part * 300), st.sampled_from("FP"))
def test_joined_parts_are_the_output(output: bytes, tag: str) -> None:
    entries = format_lines(output, "stdout", STAMP, tag).split(f"{STAMP} stdout ".encode())[1:]
    joined = b"".join(entry[2:-1] + (b"\n" if entry[:1] == b"F" else b"") for entry in entries)
    expected = output + (b"\n" if tag == "F" and output and not output.endswith(b"\n") else b"")
    assert joined == expected


def test_rotation_keeps_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "0.log"
    log = LogFile(str(path), 10, 3)
    for number in range(12):
        text = f"line{number}\n".encode()
        log.make_room(len(text))
        log.append(text)
    log.close()
    files = [*list_rotated(str(path)), str(path)]
    assert [Path(file).name for file in files] == ["0.log.10", "0.log.11", "0.log"]
    assert [Path(file).read_text() for file in files] == ["line9\n", "line10\n", "line11\n"]


def test_one_file_is_the_smallest_number(tmp_path: Path) -> None:
    log = LogFile(str(tmp_path / "log"), 5, 1)
    for text in (b"first\n", b"second\n"):
        log.make_room(len(text))
        log.append(text)
    log.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log"]


def test_a_log_cut_back_and_written_again(tmp_path: Path) -> None:
    log = LogFile(str(tmp_path / "log"), 1000, 2)
    log.append(b"kept\n")
    log.append(b"torn")
    log.truncate(5)
    log.append(b"whole\n")
    log.close()
    assert (tmp_path / "log").read_text() == "kept\nwhole\n"


def test_a_log_is_not_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        LogFile(str(tmp_path / "log"), 1000, 2)


def test_other_files_beside_it_are_not_its_own(tmp_path: Path) -> None:
    for name in ("log", "log.2", "log.10", "log.old", "log2.1", "log.1.gz"):
        (tmp_path / name).touch()
    assert [Path(path).name for path in list_rotated(str(tmp_path / "log"))] == ["log.2", "log.10"]

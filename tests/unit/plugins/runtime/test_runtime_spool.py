"""Each line exactly once: the spool, cut off after every one of its steps and taken up by another."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from actors.plugins.runtime.launcher.log_file import LogFile
from actors.plugins.runtime.launcher.spool import ENDED, IDLE, MORE, WAITING, Spool


class Killed(Exception):
    pass


def text_of(path: Path) -> str:
    return "".join(line.split(" ", 3)[3] for line in path.read_text().splitlines(keepends=True))


@pytest.fixture
def pipe() -> tuple[int, int]:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    return reader, writer


def test_outcomes(tmp_path: Path, pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    spool, log = Spool(), LogFile(str(tmp_path / "log"), 1 << 20, 1)
    assert spool.pump(reader, "c", "stdout", log) == IDLE
    os.write(writer, b"whole\nhalf")
    assert spool.pump(reader, "c", "stdout", log) == MORE
    assert spool.pump(reader, "c", "stdout", log) == WAITING
    assert text_of(tmp_path / "log") == "whole\n"
    os.close(writer)
    assert spool.pump(reader, "c", "stdout", log, "F") == MORE
    assert spool.pump(reader, "c", "stdout", log) == ENDED
    assert text_of(tmp_path / "log") == "whole\nhalf\n"


@pytest.mark.parametrize("step", ["read", "pwrite-journal", "splice", "append", "discard"])
def test_killed_after_any_step(
    tmp_path: Path, pipe: tuple[int, int], step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = pipe
    spool, path = Spool(), tmp_path / "log"
    log = LogFile(str(path), 1 << 20, 1)
    os.write(writer, b"before\n")
    spool.pump(reader, "c", "stdout", log)
    os.write(writer, b"one\ntwo\nunfinished")

    def die_after(function: Callable[..., object]) -> Callable[..., object]:
        def dying(*args: object, **kwargs: object) -> object:
            function(*args, **kwargs)
            raise Killed

        return dying

    with monkeypatch.context() as patch:
        if step == "read":
            patch.setattr(spool, "_glance", die_after(spool._glance))
        elif step == "pwrite-journal":
            patch.setattr(spool, "_note", die_after(spool._note))
        elif step == "splice":
            patch.setattr(os, "splice", die_after(os.splice))
        elif step == "append":
            patch.setattr(log, "append", die_after(log.append))
        else:
            patch.setattr(spool, "_discard", die_after(spool._discard))
        with pytest.raises(Killed):
            spool.pump(reader, "c", "stdout", log)
    log.close()
    spool.recover(lambda container_id: LogFile(str(path), 1 << 20, 1) if container_id == "c" else None)
    again = LogFile(str(path), 1 << 20, 1)
    while spool.pump(reader, "c", "stdout", again) == MORE:
        pass
    assert text_of(path) == "before\none\ntwo\n"


def test_killed_between_looking_and_reading_what_was_seen(tmp_path: Path, pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    spool = Spool()
    os.write(writer, b"line\n")
    os.write(spool._glance_in, b"seen and never read")
    spool.recover(lambda _: None)
    log = LogFile(str(tmp_path / "log"), 1 << 20, 1)
    spool.pump(reader, "c", "stdout", log)
    assert text_of(tmp_path / "log") == "line\n"


def test_a_container_that_is_gone_does_not_stop_recovery(tmp_path: Path, pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    spool = Spool()
    spool._note("gone", "stdout", 0, "P")
    os.write(spool._in, b"nobody's\n")
    spool.recover(lambda _: None)
    os.write(writer, b"mine\n")
    log = LogFile(str(tmp_path / "log"), 1 << 20, 1)
    assert spool.pump(reader, "c", "stdout", log) == MORE
    assert text_of(tmp_path / "log") == "mine\n"

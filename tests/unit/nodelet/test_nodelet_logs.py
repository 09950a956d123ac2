"""Reading logs as the launcher writes them: tails, cursors over rotations, ends, what is kept and what goes."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from actors.api.errors import BadRequest, NotFound
from actors.api.logs import LogChunk, LogRequest
from actors.nodelet.log_reader import LogReader
from actors.nodelet.logs import Cursor, drop_before, tail_offset, texts

UID = "0123"


def line(number: int, flag: str = "F", text: str | None = None) -> bytes:
    return f"2026-11-23T10:00:{number % 60:02d}.000000000Z stdout {flag} {text or f'line {number}'}\n".encode()


class Disk:
    def __init__(self, root: Path) -> None:
        self.root, self.live = root, True
        self.path = self.folder() / "0.log"
        self.reader = LogReader(root, lambda uid, container, attempt: self.live)

    def folder(self, uid: str = UID) -> Path:
        path = self.root / f"default_p_{uid}" / "main"
        path.mkdir(parents=True, exist_ok=True)
        return path

    def write(self, *numbers: int) -> None:
        with self.path.open("ab") as file:
            file.write(b"".join(line(number) for number in numbers))

    def rotate(self, number: int) -> None:
        self.path.rename(f"{self.path}.{number}")

    async def read(self, **fields: object) -> LogChunk:
        request = {"namespace": "default", "pod": "p", "container": "main", **fields}
        return await self.reader.read(LogRequest(**request))  # type: ignore[arg-type]


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


def numbers(chunk: LogChunk) -> list[int]:
    return [int(text.rpartition(b" ")[2]) for text in chunk.lines.splitlines()]


async def test_all_of_it_then_only_what_is_new(disk: Disk) -> None:
    disk.write(1, 2)
    first = await disk.read()
    assert numbers(first) == [1, 2] and not first.ended
    assert (await disk.read(cursor=first.cursor)).lines == b""
    disk.write(3)
    assert numbers(await disk.read(cursor=first.cursor)) == [3]


async def test_a_cursor_survives_rotations(disk: Disk) -> None:
    disk.write(1)
    chunk = await disk.read()
    disk.write(2)
    disk.rotate(1)
    disk.write(3)
    disk.rotate(2)
    disk.write(4)
    chunk = await disk.read(cursor=chunk.cursor)
    assert numbers(chunk) == [2, 3, 4]
    disk.write(5)
    assert numbers(await disk.read(cursor=chunk.cursor)) == [5]


async def test_a_cursor_into_a_deleted_file_goes_on_with_the_oldest(disk: Disk) -> None:
    disk.write(1)
    chunk = await disk.read()
    disk.rotate(1)
    os.unlink(f"{disk.path}.1")
    disk.write(2)
    disk.rotate(2)
    disk.write(3)
    assert numbers(await disk.read(cursor=chunk.cursor)) == [2, 3]


@pytest.mark.parametrize("tail", [0, 1, 3, 5, 7, 100])
async def test_a_tail_reaches_over_files(disk: Disk, tail: int) -> None:
    disk.write(1, 2, 3)
    disk.rotate(1)
    disk.write(4, 5)
    disk.rotate(2)
    disk.write(6, 7)
    assert numbers(await disk.read(tail_lines=tail)) == list(range(max(1, 8 - tail), 8))


async def test_a_tail_of_a_long_log(disk: Disk) -> None:
    disk.write(*range(1, 10_001))
    assert numbers(await disk.read(tail_lines=3)) == [9_998, 9_999, 10_000]
    assert len(numbers(await disk.read(tail_lines=5_000, bytes_max=1 << 20))) == 5_000


async def test_a_line_that_is_being_written_waits(disk: Disk) -> None:
    disk.write(1)
    with disk.path.open("ab") as file:
        file.write(line(2)[:20])
    chunk = await disk.read()
    assert numbers(chunk) == [1]
    with disk.path.open("ab") as file:
        file.write(line(2)[20:])
    assert numbers(await disk.read(cursor=chunk.cursor)) == [2]


async def test_chunks_are_bounded_and_complete(disk: Disk) -> None:
    disk.write(*range(1, 5_001))
    seen, cursor = [], ""
    while True:
        chunk = await disk.read(cursor=cursor, bytes_max=1_000)
        if not chunk.lines:
            break
        assert len(chunk.lines) <= 128 * 1024
        seen += numbers(chunk)
        cursor = chunk.cursor
    assert seen == list(range(1, 5_001))


async def test_following_wakes_up_and_ends(disk: Disk) -> None:
    disk.write(1)
    chunk = await disk.read()
    waiting = asyncio.create_task(disk.read(cursor=chunk.cursor, wait_ms=5_000))
    await asyncio.sleep(0.1)
    disk.write(2)
    chunk = await asyncio.wait_for(waiting, 2)
    assert numbers(chunk) == [2]
    waiting = asyncio.create_task(disk.read(cursor=chunk.cursor, wait_ms=5_000))
    await asyncio.sleep(0.1)
    disk.live = False
    assert (await asyncio.wait_for(waiting, 2)).ended


async def test_attempts(disk: Disk) -> None:
    disk.write(1)
    disk.path = disk.folder() / "1.log"
    disk.write(2)
    assert numbers(await disk.read()) == [2]
    assert numbers(await disk.read(previous=True)) == [1]


async def test_the_newest_pod_of_a_name(disk: Disk) -> None:
    disk.write(1)
    os.utime(disk.folder().parent, (1, 1))
    disk.path = disk.folder("4567") / "0.log"
    disk.write(2)
    assert numbers(await disk.read()) == [2]
    assert numbers(await disk.read(pod_uid=UID)) == [1]


@pytest.mark.parametrize(
    "fields",
    [
        {"pod": "q"},
        {"container": "other"},
        {"previous": True},
        {"container": "../../other"},
        {"pod_uid": "nobody"},
        {"container": ".."},
    ],
)
async def test_what_is_not_there(disk: Disk, fields: dict[str, object]) -> None:
    disk.write(1)
    with pytest.raises(NotFound):
        await disk.read(**fields)


@pytest.mark.parametrize("cursor", ["x", "a/b/c/d/e", "../../etc/1/2/3", "0123/-1/1/0/0"])
async def test_a_forged_cursor(disk: Disk, cursor: str) -> None:
    disk.write(1)
    with pytest.raises((BadRequest, NotFound)):
        await disk.read(cursor=cursor)


async def test_since(disk: Disk) -> None:
    disk.write(1, 2, 3)
    from actors.api.clock import parse_time

    assert numbers(await disk.read(since_ms=parse_time("2026-11-23T10:00:02Z"))) == [2, 3]


def test_parts_belong_to_their_line() -> None:
    block = line(1) + line(2, "P", "two-") + line(2, "P", "and-") + line(2, "F", "end") + line(3)
    assert block[tail_offset(block, 2) :].startswith(line(2, "P", "two-"))
    assert tail_offset(block, 4) == -1
    assert texts(block) == b"line 1\ntwo-and-end\nline 3\n"
    assert drop_before(b"garbage\n" + line(5), 0) == b"garbage\n" + line(5)


def test_cursor_text() -> None:
    cursor = Cursor("uid", 1, 2, 3, 4)
    assert Cursor.parse(str(cursor)) == cursor


def test_a_termination_message_from_the_log(disk: Disk) -> None:
    disk.write(*range(1, 201))
    message = disk.reader.tail_message(str(disk.path))
    assert message.endswith("line 200\n")
    assert message.startswith("line 121\n")
    assert disk.reader.tail_message("/nowhere/0.log") == ""


def test_retention(disk: Disk) -> None:
    disk.write(1)
    assert disk.reader.delete_old(frozenset(), before=1_000) == []
    assert disk.reader.delete_old(frozenset({UID}), before=1 << 60) == []
    assert disk.reader.delete_old(frozenset(), before=1 << 60) == [f"default_p_{UID}"]
    assert list(disk.root.iterdir()) == []

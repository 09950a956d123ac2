"""Serves container logs from disk, also of pods that are gone, and deletes them when their time is over.

Layout: `<logs>/<namespace>_<pod>_<uid>/<container>/<attempt>.log`, rotated files beside it as `<attempt>.log.<n>`. The
launcher writes them; nothing here is needed for a container to run. Reading happens in threads, waiting does not.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from actors.api.clock import Millis
from actors.api.errors import NotFound
from actors.api.logs import LogChunk, LogRequest
from actors.nodelet.logs import Cursor, drop_before, tail_offset, texts, whole_lines

#: How often a follower looks for more.
POLL_SECONDS = 0.05
_TAIL_BLOCK_BYTES = 64 * 1024
_MESSAGE_BYTES_MAX = 2048
_MESSAGE_LINES_MAX = 80

#: (pod uid, container, attempt) -> may its log still grow?
IsLive = Callable[[str, str, int], bool]


class LogReader:
    """`is_live` asks the core. A log has ended when its container had ended before the last byte was looked for."""

    def __init__(self, root: Path, is_live: IsLive) -> None:
        self._root, self._is_live = root, is_live

    async def read(self, request: LogRequest) -> LogChunk:
        """Waits at the end of a live log for at most `wait_ms`. Raises NotFound, BadRequest."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + request.wait_ms / 1_000
        while True:
            chunk = await asyncio.to_thread(self._read, request)
            if chunk.lines or chunk.ended or loop.time() >= deadline:
                return chunk
            request = msgspec.structs.replace(request, cursor=chunk.cursor)
            await asyncio.sleep(POLL_SECONDS)

    def tail_message(self, log_path: str) -> str:
        """What `terminationMessagePolicy: FallbackToLogsOnError` reports: the end of the log."""
        log = _Log(Path(log_path))
        cursor = _tail(log, Cursor("", 0, 1, 0, 0), _MESSAGE_LINES_MAX)
        lines = b"".join(chunk for _, chunk in _chunks(log, cursor, 1 << 20))
        return texts(lines)[-_MESSAGE_BYTES_MAX:].decode("utf-8", "replace")

    def delete_old(self, live_uids: frozenset[str], before: Millis) -> list[str]:
        """Delete the logs of pods that are gone and whose logs were last written before that time."""
        deleted = []
        for folder in _folders(self._root):
            uid = folder.name.rpartition("_")[2]
            if uid not in live_uids and _last_written(folder) < before:
                shutil.rmtree(folder, ignore_errors=True)
                deleted.append(folder.name)
        return deleted

    def _read(self, request: LogRequest) -> LogChunk:
        cursor = Cursor.parse(request.cursor) if request.cursor else self._first(request)
        log = _Log(self._folder(request, cursor.pod_uid) / f"{cursor.attempt}.log")
        live = self._is_live(cursor.pod_uid, request.container, cursor.attempt)
        if not request.cursor and request.tail_lines >= 0:
            cursor = _tail(log, cursor, request.tail_lines)
        lines = b""
        for behind, chunk in _chunks(log, cursor, request.bytes_max):
            cursor = behind
            lines += drop_before(chunk, request.since_ms) if request.since_ms else chunk
            if len(lines) >= request.bytes_max:
                return LogChunk(lines=lines, cursor=str(cursor))
        return LogChunk(lines=lines, cursor=str(cursor), ended=not live)

    def _first(self, request: LogRequest) -> Cursor:
        """The latest attempt, or the one before it, of the pod asked for or the newest of its name."""
        folder = self._folder(request, request.pod_uid)
        attempts = sorted(int(p.name[:-4]) for p in folder.glob("*.log") if p.name[:-4].isdecimal())
        wanted = attempts[-2:-1] if request.previous else attempts[-1:]
        if not wanted:
            what = "previous terminated container" if request.previous else "container"
            raise NotFound(f'{what} "{request.container}" in pod "{request.pod}" has no log on this node')
        return Cursor(folder.parent.name.rpartition("_")[2], wanted[0], 1, 0, 0)

    def _folder(self, request: LogRequest, pod_uid: str) -> Path:
        names = (request.namespace, request.pod, request.container, pod_uid)
        prefix, suffix = f"{request.namespace}_{request.pod}_", f"_{pod_uid}" if pod_uid else ""
        candidates = [f for f in _folders(self._root) if f.name.startswith(prefix) and f.name.endswith(suffix)]
        if any("/" in name or name == ".." for name in names) or not candidates:
            raise NotFound(f'pod "{request.pod}" in namespace "{request.namespace}" has no logs on this node')
        return max(candidates, key=_created) / request.container


class _Log:
    """The files of one log: rotated ones by number, the current one last."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def last(self) -> int:
        """The number that the current file will have once it is rotated."""
        return max(self._rotated(), default=0) + 1

    def first(self) -> int:
        return min(self._rotated(), default=self.last())

    def open(self, number: int) -> int:
        """A descriptor on file `number`. Raises FileNotFoundError when it was deleted or is not there yet."""
        while True:
            last = self.last()
            descriptor = os.open(self.path if number == last else f"{self.path}.{number}", os.O_RDONLY | os.O_NOFOLLOW)
            if number < last or self.last() == last:
                return descriptor
            os.close(descriptor)  # it was rotated while it was being opened

    def _rotated(self) -> Iterator[int]:
        prefix = self.path.name + "."
        try:
            names = os.listdir(self.path.parent)
        except FileNotFoundError:
            return
        yield from (int(n[len(prefix) :]) for n in names if n.startswith(prefix) and n[len(prefix) :].isdecimal())


def _chunks(log: _Log, cursor: Cursor, bytes_max: int) -> Iterator[tuple[Cursor, bytes]]:
    """Whole lines from the cursor on, file after file, each with the cursor behind it; the last may be empty."""
    while True:
        last = log.last()
        number = min(max(cursor.file, log.first()), last)
        try:
            descriptor = log.open(number)
        except FileNotFoundError:
            if number >= log.last():
                yield cursor, b""
                return
            cursor = Cursor(cursor.pod_uid, cursor.attempt, number + 1, 0, 0)
            continue
        try:
            cursor = _place(cursor, number, os.fstat(descriptor))
            while chunk := whole_lines(os.pread(descriptor, max(bytes_max, 64 * 1024), cursor.offset)):
                cursor = msgspec.structs.replace(cursor, offset=cursor.offset + len(chunk))
                yield cursor, chunk
        finally:
            os.close(descriptor)
        if number >= log.last():
            yield cursor, b""
            return
        if number < last:  # it was complete when its end was read
            cursor = Cursor(cursor.pod_uid, cursor.attempt, number + 1, 0, 0)


def _place(cursor: Cursor, number: int, stat: os.stat_result) -> Cursor:
    """Where in this file to go on: at its start, when it is not the file that the cursor was made for."""
    same = cursor.file == number and cursor.inode in (0, stat.st_ino)
    offset = min(cursor.offset, stat.st_size) if same else 0
    return Cursor(cursor.pod_uid, cursor.attempt, number, stat.st_ino, offset)


def _tail(log: _Log, cursor: Cursor, lines: int) -> Cursor:
    """The cursor at the last `lines` lines: blocks are read backwards, from the current file to the older ones."""
    for number in range(log.last(), log.first() - 1, -1):
        try:
            descriptor = log.open(number)
        except FileNotFoundError:
            continue
        try:
            stat = os.fstat(descriptor)
            offset, found = _tail_in(descriptor, stat.st_size, lines)
        finally:
            os.close(descriptor)
        cursor = Cursor(cursor.pod_uid, cursor.attempt, number, stat.st_ino, offset)
        if found >= lines:
            break
        lines -= found
    return cursor


def _tail_in(descriptor: int, size: int, lines: int) -> tuple[int, int]:
    """(offset, lines found) of the last `lines` lines of one file."""
    block, start = b"", len(whole_lines(os.pread(descriptor, size, 0))) if size <= _TAIL_BLOCK_BYTES else size
    if size > _TAIL_BLOCK_BYTES:
        end_block = os.pread(descriptor, _TAIL_BLOCK_BYTES, size - _TAIL_BLOCK_BYTES)
        start = size - len(end_block) + len(whole_lines(end_block))
    end = start
    while start > 0:
        step = min(_TAIL_BLOCK_BYTES, start)
        start -= step
        block = os.pread(descriptor, end - start, start)
        skipped = 0 if start == 0 else block.find(b"\n") + 1
        offset = tail_offset(block[skipped:], lines)
        if offset >= 0:
            return start + skipped + offset, lines
    return 0, block.count(b"\n")


def _folders(root: Path) -> list[Path]:
    try:
        return sorted(path for path in root.iterdir() if path.is_dir() and path.name.count("_") >= 2)
    except FileNotFoundError:
        return []


def _created(folder: Path) -> tuple[float, str]:
    return folder.stat().st_mtime, folder.name


def _last_written(folder: Path) -> Millis:
    files = (path for path in folder.rglob("*") if path.is_file())
    return int(1_000 * max((path.stat().st_mtime for path in files), default=folder.stat().st_mtime))

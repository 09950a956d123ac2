"""Files into and out of a container that runs: tar streams through an `exec` of its own tar, as kubectl cp does it.

Nothing is held as a whole, on neither side. The rules for names are those of `cp -r`: into a folder that exists goes
what is copied under its own name, and `FOLDER/.` is what the folder holds.
"""

from __future__ import annotations

import asyncio
import io
import os
import posixpath
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from raypod.errors import CommandNotStarted, CopyError, RaypodError
from raypod.execution import STDERR, STDOUT, Execution
from raypod.unpacking import Parts, parts_of, unpack

T = TypeVar("T")

_BLOCK_BYTES = 256 << 10
_AHEAD_CHUNKS = 16
_SAID_BYTES_MAX = 4096
#: What may follow the end of an archive: tar fills its last record up.
_PADDING_BYTES_MAX = 1 << 20
#: GNU tar: a file was changed while it was read. (Of busybox any failure; then there is nothing, or no end.)
_CHANGED_CODE = 1


class Start(Protocol):
    """Begins a command in the container."""

    def __call__(self, command: list[str], *, stdin: bool) -> Awaitable[Execution]: ...


async def copy_to(start: Start, source: str, target: str) -> None:
    """Raises CopyError, OSError (of the source), and what `start` raises."""
    if not target:
        raise ValueError("copy: name a path in the container")
    os.stat(source)
    folder, name = target, _last_name(source)
    if not target.endswith("/") and not await _is_folder(start, target):
        folder, name = posixpath.dirname(target) or ".", posixpath.basename(target)
    execution = await start(["tar", "-xof", "-", "-C", folder], stdin=True)
    sink = _Sink(execution)
    feeding = asyncio.create_task(_feed(execution, sink, source, name))
    said = bytearray()
    try:
        async for _, data in _read(execution):
            said += data[: _SAID_BYTES_MAX - len(said)]
    except RaypodError:
        if feeding.done() and not feeding.cancelled():
            feeding.result()  # what could not be read here is why
        raise
    finally:
        sink.stop()
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
        await execution.close()
    if execution.exit_code:
        raise CopyError(_told_by_tar(execution.exit_code, said))


async def _feed(execution: Execution, sink: _Sink, source: str, name: str) -> None:
    try:
        await asyncio.to_thread(_pack, sink, source, name)
        await execution.close_stdin()
    except OSError:
        await execution.close()
        raise


def _pack(sink: _Sink, source: str, name: str) -> None:
    """`name` "": what the folder holds. The source itself may be a link; links below it stay links."""
    with tarfile.open(fileobj=sink, mode="w|", bufsize=_BLOCK_BYTES, format=tarfile.PAX_FORMAT) as archive:
        if name:
            archive.add(os.path.realpath(source), arcname=name, filter=_plain)
            return
        for entry in sorted(os.listdir(source)):
            archive.add(os.path.join(source, entry), arcname=entry, filter=_plain)


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Files, folders and links, of nobody."""
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mtime = int(member.mtime)
    return member


async def copy_from(start: Start, source: str, target: str) -> list[str]:
    """What was left out, in words. Raises CopyError, OSError (of the target), and what `start` raises."""
    if not source.strip("/"):
        raise CopyError("copy: name a path in the container, not its root")
    source = source.rstrip("/")
    contents = posixpath.basename(source) == "."
    folder, name = (source, ".") if contents else (posixpath.dirname(source) or ".", posixpath.basename(source))
    root, renamed = _find_root(target, "" if contents else name)
    execution = await start(["tar", "-cf", "-", "-C", folder, "--", name], stdin=False)
    return await _unpack_all(execution, source, root, lambda member: _place(member, name, renamed))


def _find_root(target: str, name: str) -> tuple[str, str]:
    """(the folder that everything goes below, the name there of what is copied: "" for what a folder holds)."""
    if os.path.isdir(target):
        return target, name
    if not name or target.endswith("/"):
        os.mkdir(target)
        return target, name
    return os.path.dirname(target) or ".", os.path.basename(target)


def _place(member: str, name: str, renamed: str) -> Parts:
    parts = parts_of(member)
    if name == ".":
        return parts
    if parts[:1] != (name,):
        raise CopyError(f"the container's tar names {member!r}, which was not asked for: nothing more is written")
    return (renamed, *parts[1:])


async def _unpack_all(execution: Execution, source: str, root: str, place: Callable[[str], Parts]) -> list[str]:
    chunks: asyncio.Queue[bytes] = asyncio.Queue(_AHEAD_CHUNKS)
    loop = asyncio.get_running_loop()
    stream = _Source(lambda: asyncio.run_coroutine_threadsafe(chunks.get(), loop).result())
    unpacking = asyncio.ensure_future(asyncio.to_thread(unpack, stream, root, place))  # type: ignore[arg-type]  # `read` is all that is asked of it
    said, padding = bytearray(), 0
    try:
        async for channel, data in _read(execution):
            if channel == STDERR:
                said += data[: _SAID_BYTES_MAX - len(said)]
            elif unpacking.done():
                unpacking.result()
                padding += len(data)
                if padding > _PADDING_BYTES_MAX:
                    raise CopyError("the container's tar does not end")
            elif channel == STDOUT and chunks.full():
                await _first(chunks.put(data), unpacking)
            elif channel == STDOUT:
                chunks.put_nowait(data)
        await _first(chunks.put(b""), unpacking)
        await asyncio.wait([unpacking])
        if execution.exit_code and (execution.exit_code != _CHANGED_CODE or unpacking.exception()):
            raise CopyError(_told_by_tar(execution.exit_code, said))
        count, left_out = unpacking.result()
        if execution.exit_code and not count:
            raise CopyError(_told_by_tar(execution.exit_code, said))
        left_out += [_told_by_tar(execution.exit_code, said)] if execution.exit_code else []
        if not count:
            raise CopyError(f"{source}: nothing was copied: {'; '.join(left_out) or 'there is nothing'}")
        return left_out
    finally:
        await execution.close()
        while not unpacking.done():  # its thread may still ask for more
            with suppress(asyncio.QueueEmpty):
                while True:
                    chunks.get_nowait()
            chunks.put_nowait(b"")
            await asyncio.wait([unpacking], timeout=0.1)
        if not unpacking.cancelled():
            unpacking.exception()


async def _first(work: Any, other: asyncio.Future[Any]) -> None:
    """Until `work` is done, or `other`: then `work` is cancelled."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait([task, other], return_when=asyncio.FIRST_COMPLETED)
    finally:
        task.cancel()


async def _is_folder(start: Start, path: str) -> bool:
    try:
        execution = await start(["test", "-d", path], stdin=False)
        async for _ in execution.read():
            pass
        await execution.close()
    except CommandNotStarted:
        return False
    return execution.exit_code == 0


async def _read(execution: Execution) -> AsyncIterator[tuple[int, bytes]]:
    try:
        async for said in execution.read():
            yield said
    except CommandNotStarted as error:
        raise CopyError("there is no tar in the container, and copying needs one") from error


def _last_name(path: str) -> str:
    """What it would be called in a folder; "" for `FOLDER/.`."""
    name = os.path.basename(path.rstrip("/"))
    if name == ".":
        return ""
    return name if name not in ("", "..") else os.path.basename(os.path.realpath(path))


def _told_by_tar(code: int, said: bytearray) -> str:
    lines = said.decode(errors="replace").splitlines()
    first = lines[0].removeprefix("tar: ") if lines else f"it ended with {code}"
    return f"tar in the container: {first}"


class _Sink(io.RawIOBase):
    """Where tarfile writes, in a thread: a write returns when the connection has taken it."""

    def __init__(self, execution: Execution) -> None:
        self._execution, self._loop, self._stopped = execution, asyncio.get_running_loop(), False

    def write(self, data: Any) -> int:
        if self._stopped:
            raise BrokenPipeError("nobody reads it any more")
        asyncio.run_coroutine_threadsafe(self._execution.write(bytes(data)), self._loop).result()
        return len(data)

    def stop(self) -> None:
        self._stopped = True


class _Source:
    """What tarfile reads, in a thread. At its end it stays there."""

    def __init__(self, take: Callable[[], bytes]) -> None:
        self._take, self._rest, self._ended = take, b"", False

    def read(self, size: int) -> bytes:
        """Fewer bytes than asked for only at the end."""
        pieces, left = [self._rest], size - len(self._rest)
        while left > 0 and not self._ended:
            piece = self._take()
            self._ended = not piece
            pieces.append(piece)
            left -= len(piece)
        whole = b"".join(pieces)
        self._rest = whole[size:]
        return whole[:size]

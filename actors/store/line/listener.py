"""The store's end of the line: takes calls, answers each when it is done, and pushes to followers what is committed.

What is said in one turn of the loop goes out together: a commit's answer and what it has changed wake their reader
once. A follower that does not read is cut off, not buffered for without end: it comes back and goes on where it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import cast

from actors.api.errors import ApiError
from actors.store import wire
from actors.store.followers import Followers
from actors.store.line.frames import ANSWERED, FAILED, FOLLOW, METHODS, PUSHED, BrokenFrame, Splitter, frame

_LOG = logging.getLogger(__name__)
_PUSHED_BYTES_MAX = 256 << 20

#: A method's name and its blob to its answer; errors of the store are in the answer.
Answer = Callable[[str, bytes], Awaitable[bytes]]
#: The same, for methods that need no task of their own: calls back with the answer, at once or later; raises nothing.
Direct = Callable[[bytes, Callable[[bytes], None]], None]


class Listener:
    """Used within one event loop."""

    def __init__(self, answer: Answer, direct: Mapping[str, Direct], followers: Followers) -> None:
        self._answer, self._direct = answer, direct
        self._followers = followers
        self._listener: asyncio.Server | None = None
        self._lines: set[_Line] = set()

    async def open(self, path: Path) -> None:
        """For this user alone. Takes the place of a listener that has ended. Raises OSError."""
        path.unlink(missing_ok=True)
        folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:  # A socket's path may have 108 bytes: it is bound through a descriptor of its folder.
            place = f"/proc/self/fd/{folder}/{path.name}"
            make = asyncio.get_running_loop().create_unix_server
            self._listener = await make(self._make_line, place, backlog=256)
        finally:
            os.close(folder)
        path.chmod(0o600)

    def _make_line(self) -> _Line:
        return _Line(self._answer, self._direct, self._followers, self._lines)

    def close(self) -> None:
        if self._listener is not None:
            self._listener.close()
        for line in list(self._lines):
            line.abort()


class _Line(asyncio.Protocol):
    """One caller."""

    def __init__(self, answer: Answer, direct: Mapping[str, Direct], followers: Followers, lines: set[_Line]) -> None:
        self._answer, self._direct, self._followers, self._lines = answer, direct, followers, lines
        self._said: list[bytes] = []
        self._splitter = Splitter()
        self._calls: set[asyncio.Task[None]] = set()
        self._transport: asyncio.Transport | None = None
        self._following = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._lines.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._lines.discard(self)
        self._followers.leave(self.push)
        for task in self._calls:
            task.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            for call, method, blob in self._splitter.feed(data):
                if method == FOLLOW:
                    self._follow(call, blob)
                else:
                    self._begin(call, METHODS[method], blob)
        except (BrokenFrame, IndexError) as error:
            _LOG.warning("a caller of the store is cut off: %s", error)
            self.abort()

    def _begin(self, call: int, method: str, blob: bytes) -> None:
        direct = self._direct.get(method)
        if direct is not None:
            direct(blob, partial(self._send, call, ANSWERED))
            return
        task = asyncio.get_running_loop().create_task(self._carry_out(call, method, blob))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _carry_out(self, call: int, method: str, blob: bytes) -> None:
        try:
            self._send(call, ANSWERED, await self._answer(method, blob))
        except Exception as error:
            _LOG.exception("a call of %s failed", method)
            self._send(call, FAILED, f"{type(error).__name__}: {error}".encode())

    def _follow(self, call: int, blob: bytes) -> None:
        """Answers once that it begins, or why not; then pushes, for as long as the line holds."""
        try:
            since = wire.decode_call(blob, int)
            self._followers.check(since)
        except ApiError as error:
            self._send(call, ANSWERED, wire.encode_error(error))
            return
        self._following = call
        self._send(call, ANSWERED, wire.encode_result(since))
        self._followers.enter(self.push, since)

    def push(self, blob: bytes) -> None:
        self._send(self._following, PUSHED, blob)
        if self._transport is not None and self._transport.get_write_buffer_size() > _PUSHED_BYTES_MAX:
            _LOG.warning("a follower of the store does not read and is cut off")
            self.abort()

    def _send(self, call: int, what: int, blob: bytes) -> None:
        if self._transport is None:
            return
        if not self._said:
            asyncio.get_running_loop().call_soon(self._flush)
        self._said.append(frame(call, what, blob))

    def _flush(self) -> None:
        said, self._said = self._said, []
        if self._transport is not None:
            self._transport.write(said[0] if len(said) == 1 else b"".join(said))

    def abort(self) -> None:
        if self._transport is not None:
            with contextlib.suppress(OSError):
                self._transport.abort()

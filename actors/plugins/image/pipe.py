"""A bounded pipe of bytes between two threads, either of which may give up and say why."""

from __future__ import annotations

import threading
from collections import deque


class Closed(Exception):
    """The reader has given up; the writer may stop."""


class Pipe:
    """`write` waits while `bytes_max` are unread, `read` while there is nothing. One writer, one reader."""

    def __init__(self, bytes_max: int = 4 << 20) -> None:
        self._bytes_max = bytes_max
        self._chunks: deque[bytes] = deque()
        self._bytes = 0
        self._ended = self._abandoned = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()

    def try_write(self, chunk: bytes) -> bool:
        """False when there is no room now. Raises Closed."""
        with self._changed:
            if self._abandoned:
                raise Closed
            if self._bytes >= self._bytes_max:
                return False
            self._put(chunk)
            return True

    def write(self, chunk: bytes) -> None:
        with self._changed:
            while self._bytes >= self._bytes_max and not self._abandoned:
                self._changed.wait()
            if self._abandoned:
                raise Closed
            self._put(chunk)

    def _put(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._bytes += len(chunk)
        self._changed.notify_all()

    def end(self, error: BaseException | None = None) -> None:
        """Nothing more comes: the reader sees the end, or this error at once. The first call counts."""
        with self._changed:
            if not self._ended:
                self._ended, self._error = True, error
            if self._error is not None:
                self._clear()
            self._changed.notify_all()

    def abandon(self) -> None:
        """Nothing more is read."""
        with self._changed:
            self._abandoned = True
            self._clear()
            self._changed.notify_all()

    def _clear(self) -> None:
        self._chunks.clear()
        self._bytes = 0

    def read(self, count: int) -> bytes:
        """At most `count` bytes, b"" at the end. Raises the error the writer ended with."""
        with self._changed:
            while not self._chunks and not self._ended:
                self._changed.wait()
            if not self._chunks:
                if self._error is not None:
                    raise self._error
                return b""
            chunk = self._chunks.popleft()
            if len(chunk) > count:
                self._chunks.appendleft(chunk[count:])
                chunk = chunk[:count]
            self._bytes -= len(chunk)
            self._changed.notify_all()
            return chunk

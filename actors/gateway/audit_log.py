"""Where audit lines go: a file that is rotated by size, readable by its owner alone. A full disk stops no request."""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path

_LOG = logging.getLogger(__name__)


class RotatingLog:
    """`path` is appended to; beyond `bytes_max` it becomes `path.1`, which becomes `path.2`, up to `files_max`."""

    def __init__(self, path: Path, bytes_max: int, files_max: int) -> None:
        """Raises OSError."""
        self.path, self.bytes_max, self.files_max = path, bytes_max, files_max
        self.lost = 0
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._open()

    def _open(self) -> None:
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._descriptor).st_size

    def write(self, line: bytes) -> None:
        try:
            if self._size and self._size + len(line) > self.bytes_max:
                self._rotate()
            self._size += os.write(self._descriptor, line)
        except OSError as error:
            self.lost += 1
            _LOG.error("an audit line is lost (%d so far): %s", self.lost, error)

    def _rotate(self) -> None:
        self.close()
        try:
            for number in range(self.files_max - 1, 0, -1):
                with contextlib.suppress(FileNotFoundError):
                    os.replace(self._numbered(number), self._numbered(number + 1))
            if self.files_max:
                os.replace(self.path, self._numbered(1))
            else:
                self.path.unlink()
        finally:
            self._open()

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")

    def close(self) -> None:
        """What is written afterwards is lost, never in another file that took the number."""
        os.close(self._descriptor)
        self._descriptor = -1

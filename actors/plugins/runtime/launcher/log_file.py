"""A container's log file and the older ones beside it: `<path>.<n>`, n growing, never renamed again."""

from __future__ import annotations

import os


def list_rotated(path: str) -> list[str]:
    """The older files of a log, the oldest first. The file at `path` follows them."""
    directory, name = os.path.split(path)
    try:
        entries = os.listdir(directory or ".")
    except FileNotFoundError:
        return []
    numbers = sorted(
        int(entry[len(name) + 1 :])
        for entry in entries
        if entry.startswith(f"{name}.") and entry[len(name) + 1 :].isdecimal()
    )
    return [f"{path}.{number}" for number in numbers]


class LogFile:
    """Appends at a known offset; `path` "" throws everything away."""

    def __init__(self, path: str, size_bytes_max: int, files_max: int) -> None:
        self.path, self.size_bytes_max, self.files_max = path, size_bytes_max, files_max
        self.size = 0
        self._fd = -1
        if path:
            self._open()

    def _open(self) -> None:
        os.makedirs(os.path.dirname(self.path), mode=0o755, exist_ok=True)
        self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
        self.size = os.fstat(self._fd).st_size

    def make_room(self, length: int) -> None:
        """Rotate when `length` more bytes would pass the limit."""
        if self._fd < 0 or self.size == 0 or self.size + length <= self.size_bytes_max:
            return
        rotated = list_rotated(self.path)
        number = int(rotated[-1].rpartition(".")[2]) + 1 if rotated else 1
        os.rename(self.path, f"{self.path}.{number}")
        rotated.append(f"{self.path}.{number}")
        for old in rotated[: max(0, len(rotated) + 1 - max(1, self.files_max))]:
            os.unlink(old)
        os.close(self._fd)
        self._open()

    def truncate(self, size: int) -> None:
        if self._fd >= 0 and size < self.size:
            os.ftruncate(self._fd, size)
            self.size = size

    def append(self, text: bytes) -> None:
        """All of it or nothing: what a full disk cannot take is dropped, the container runs on."""
        if self._fd < 0:
            return
        done = 0
        try:
            while done < len(text):
                done += os.pwrite(self._fd, text[done:], self.size + done)
        except OSError:
            os.ftruncate(self._fd, self.size)
            return
        self.size += done

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

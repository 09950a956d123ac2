"""The CRI log format (`<RFC3339Nano> stdout|stderr F|P text`) to what `kubectl logs` shows. Pure.

A partial entry (P) is a piece of a line: the next piece of the same stream goes on where it ended.
"""

from __future__ import annotations

from actors.api.clock import Millis, parse_time


class LogText:
    """Fed with whole CRI lines, gives back text. Keeps only whether it is in the middle of a line."""

    def __init__(self, *, timestamps: bool = False, bytes_max: int | None = None, stream: str = "") -> None:
        self._timestamps = timestamps
        self._bytes_left = bytes_max
        self._stream = stream.lower()
        self._inside_line = False

    @property
    def is_full(self) -> bool:
        return self._bytes_left is not None and self._bytes_left <= 0

    def feed(self, lines: bytes) -> bytes:
        text = b"".join(self._render(line) for line in lines.split(b"\n") if line)
        if self._bytes_left is not None:
            text = text[: max(self._bytes_left, 0)]
            self._bytes_left -= len(text)
        return text

    def _render(self, line: bytes) -> bytes:
        """A line in another format, cut off by a crash, is shown as it is."""
        parts = line.split(b" ", 3)
        if len(parts) < 3 or parts[1] not in (b"stdout", b"stderr"):
            return line + b"\n"
        if self._stream in ("stdout", "stderr") and parts[1] != self._stream.encode():
            return b""
        text = parts[3] if len(parts) == 4 else b""
        prefix = parts[0] + b" " if self._timestamps and not self._inside_line else b""
        self._inside_line = parts[2].split(b":")[0] == b"P"
        return prefix + text + (b"" if self._inside_line else b"\n")


def since_of(since_seconds: int | None, since_time: str, now: Millis) -> Millis:
    """Raises ValueError for a malformed `since_time`."""
    if since_time:
        return parse_time(since_time)
    return now - since_seconds * 1000 if since_seconds is not None else 0

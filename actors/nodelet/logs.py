"""Container logs as bytes: whole CRI lines, where a tail and a time begin, cursors. Pure.

A line is `<RFC3339Nano> stdout|stderr F|P text`. A cursor names the pod, the attempt, the file (its number and inode)
and the offset in it, so reading goes on after a rotation, and after the pod is gone.
"""

from __future__ import annotations

import msgspec

from actors.api.clock import Millis, parse_time
from actors.api.errors import BadRequest


class Cursor(msgspec.Struct, frozen=True):
    """`file` counts up from 1; rotated files keep their number, the latest is the current one."""

    pod_uid: str
    attempt: int
    file: int
    inode: int
    offset: int

    def __str__(self) -> str:
        return f"{self.pod_uid}/{self.attempt}/{self.file}/{self.inode}/{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Raises BadRequest."""
        pod_uid, *numbers = text.split("/")
        if len(numbers) != 4 or not all(number.isdecimal() for number in numbers):
            raise BadRequest(f"{text!r} is not a log cursor")
        return cls(pod_uid, *(int(number) for number in numbers))


def whole_lines(chunk: bytes) -> bytes:
    """Up to the last line feed: what follows is still being written."""
    return chunk[: chunk.rfind(b"\n") + 1]


def drop_before(lines: bytes, since_ms: Millis) -> bytes:
    """Without the lines that are older. Lines are in the order of their times."""
    start = 0
    while start < len(lines):
        end = lines.find(b"\n", start) + 1 or len(lines)
        if time_of(lines[start:end]) >= since_ms:
            break
        start = end
    return lines[start:]


def time_of(line: bytes) -> Millis:
    """0 for a line that is none of CRI's."""
    try:
        return parse_time(line.partition(b" ")[0].decode("ascii"))
    except (ValueError, UnicodeDecodeError):
        return 0


def is_line_end(line: bytes) -> bool:
    """Does a line of output end here (F), or go on in the next (P)?"""
    parts = line.split(b" ", 3)
    return len(parts) < 3 or not parts[2].startswith(b"P")


def tail_offset(block: bytes, lines: int) -> int:
    """Where in `block` the last `lines` lines of output begin; -1 when it has fewer. Parts (P) count with their end."""
    if lines <= 0:
        return len(block)
    starts: list[int] = []
    start, fresh = 0, True
    while start < len(block):
        end = block.find(b"\n", start) + 1 or len(block)
        if fresh:
            starts.append(start)
        fresh = is_line_end(block[start:end])
        start = end
    return starts[-lines] if len(starts) >= lines else -1


def texts(lines: bytes) -> bytes:
    """The output alone, without times and streams: what a termination message is made of."""
    out = bytearray()
    for line in lines.splitlines():
        parts = line.split(b" ", 3)
        if len(parts) == 4:
            out += parts[3] + (b"\n" if parts[2].startswith(b"F") else b"")
    return bytes(out)

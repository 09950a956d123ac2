"""The CRI log format: `<time> <stream> <F|P> <text>`, a line longer than 16 KiB in parts tagged P. Pure."""

from __future__ import annotations

import time

LINE_BYTES_MAX = 16 << 10


def format_stamp(now_ns: int) -> str:
    """RFC 3339 with nanoseconds, always as long: `2026-11-23T10:20:30.123456789Z`."""
    seconds, nanos = divmod(now_ns, 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{nanos:09d}Z"


def measure_whole(output: bytes) -> int:
    """How many bytes of `output` can be written now: its whole lines, and the full parts of an unfinished one."""
    end = output.rfind(b"\n") + 1
    return end + (len(output) - end) // LINE_BYTES_MAX * LINE_BYTES_MAX


def format_lines(output: bytes, stream: str, stamp: str, tail_tag: str) -> bytes:
    """`tail_tag`: F or P for what stands behind the last newline."""
    full = f"{stamp} {stream} F ".encode()
    part = f"{stamp} {stream} P ".encode()
    end = output.rfind(b"\n") + 1
    lines = output[: end - 1].split(b"\n") if end else []
    if lines and max(map(len, lines)) <= LINE_BYTES_MAX:
        text = full + (b"\n" + full).join(lines) + b"\n"
    else:
        text = b"".join(_split_line(line, part, full) for line in lines)
    tail = output[end:]
    return text + _split_line(tail, part, full if tail_tag == "F" else part) if tail else text


def _split_line(line: bytes, part: bytes, last: bytes) -> bytes:
    pieces = [line[at : at + LINE_BYTES_MAX] for at in range(0, len(line), LINE_BYTES_MAX)] or [b""]
    return b"".join(part + piece + b"\n" for piece in pieces[:-1]) + last + pieces[-1] + b"\n"

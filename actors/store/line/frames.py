"""The line's frames: `length u32, call u32, what u8`, then that many bytes. `what` is a method, or how a call ended.

caller: call 7, method "get", blob       -> store
store:  call 7, ANSWERED, blob           -> caller      (FAILED: a sentence; PUSHED: one of many answers)
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

#: By number: what a caller may ask. `follow` is answered many times, the others once.
METHODS = ("commit", "get", "list", "revision_at", "history", "watch", "revision", "follow")
FOLLOW = METHODS.index("follow")
ANSWERED, PUSHED, FAILED = 0, 1, 2
#: Of one frame; a list of everything is asked for in pages.
FRAME_BYTES_MAX = 1 << 30
_HEAD = struct.Struct(">IIB")


class BrokenFrame(Exception):
    """Not this protocol: the line must be closed."""


def frame(call: int, what: int, blob: bytes) -> bytes:
    return _HEAD.pack(len(blob), call, what) + blob


class Splitter:
    """Bytes as they come to frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Those that are whole now, as (call, what, blob). Raises BrokenFrame."""
        buffer = self._buffer
        buffer += data
        start, end = 0, len(buffer)
        try:
            while end - start >= _HEAD.size:
                length, call, what = _HEAD.unpack_from(buffer, start)
                if length > FRAME_BYTES_MAX:
                    raise BrokenFrame(f"a frame of {length} bytes")
                after = start + _HEAD.size + length
                if after > end:
                    return
                blob = bytes(memoryview(buffer)[start + _HEAD.size : after])
                start = after
                yield call, what, blob
        finally:
            del buffer[:start]

"""A compressed stream to a plain one: gzip (of several members, with padding behind), zstd (of several frames) or none.

The format is what the first bytes say, whatever the media type claims. Output comes in bounded pieces, so a bomb costs
time and never memory. That a zstd stream ends where it should is for the caller's digest to say.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator

import zstandard

from actors.plugins.image.faults import Corrupt

Read = Callable[[int], bytes]

_CHUNK_BYTES = 1 << 18
_OUTPUT_BYTES = 1 << 20
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
#: A frame may ask the reader for this much memory and no more (zstd --ultra -22 asks for 128 MiB).
_ZSTD_WINDOW_BYTES_MAX = 128 << 20


def inflate(read: Read) -> Iterator[bytes]:
    """The plain bytes of what `read` gives. Raises Corrupt."""
    first = read(_CHUNK_BYTES)
    while 0 < len(first) < len(_ZSTD) and (more := read(_CHUNK_BYTES)):
        first += more
    if first.startswith(_GZIP):
        yield from _gunzip(first, read)
    elif first.startswith(_ZSTD):
        yield from _unzstd(first, read)
    else:
        while first:
            yield first
            first = read(_CHUNK_BYTES)


def _gunzip(chunk: bytes, read: Read) -> Iterator[bytes]:
    member = zlib.decompressobj(wbits=31)
    try:
        while chunk:
            while chunk and not member.eof:
                if plain := member.decompress(chunk, _OUTPUT_BYTES):
                    yield plain
                chunk = member.unconsumed_tail
            if member.eof:
                chunk = (member.unused_data or chunk).lstrip(b"\0") or read(_CHUNK_BYTES).lstrip(b"\0")
                if chunk:
                    member = zlib.decompressobj(wbits=31)
            else:
                chunk = read(_CHUNK_BYTES)
    except zlib.error as error:
        raise Corrupt(f"the layer is not valid gzip: {error}") from error
    if not member.eof:
        raise Corrupt("the layer's gzip stream ends too early")


def _unzstd(chunk: bytes, read: Read) -> Iterator[bytes]:
    source = _Source(chunk, read)
    reader = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES_MAX).stream_reader(
        source,  # type: ignore[arg-type]  # `read` is all that is asked of it
        read_size=_CHUNK_BYTES,
        read_across_frames=True,
    )
    try:
        while plain := reader.read(_OUTPUT_BYTES):
            yield plain
    except zstandard.ZstdError as error:
        raise Corrupt(f"the layer is not valid zstd: {error}") from error


class _Source:
    """A file for zstandard: the chunk that was read already, then the rest."""

    def __init__(self, first: bytes, read: Read) -> None:
        self._first, self._read = first, read

    def read(self, count: int) -> bytes:
        chunk, self._first = self._first or self._read(count), b""
        return chunk

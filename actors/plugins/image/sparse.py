"""Files with holes in a tar: GNU's old format and PAX 0.0, 0.1 and 1.0 ("Storing Sparse Files" in GNU tar's manual).

Each reader answers the file's real size and the (offset, length) of its data; `check` holds both against the tar.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from actors.plugins.image.faults import Corrupt

Segments = list[tuple[int, int]]

REPEATED = (b"GNU.sparse.offset", b"GNU.sparse.numbytes")
_SEGMENTS_MAX = 1 << 18
_BLOCK = 512


def read_gnu(header: bytes, read: Callable[[int], bytes], number: Callable[[bytes], int]) -> tuple[int, Segments]:
    """The old format: four segments in the header, 21 more in each block that follows it."""
    segments = _pairs(header[386:482], number)
    more = header[482]
    while more:
        block = read(_BLOCK)
        segments += _pairs(block[:504], number)
        more = block[504]
        if len(segments) > _SEGMENTS_MAX:
            raise _malformed()
    return number(header[483:495]), segments


def _pairs(table: bytes, number: Callable[[bytes], int]) -> Segments:
    rows = (table[at : at + 24] for at in range(0, len(table), 24))
    return [(number(row[:12]), number(row[12:])) for row in rows if row[:1] != b"\0"]


def is_pax(pax: Mapping[bytes, bytes]) -> bool:
    return b"GNU.sparse.major" in pax or b"GNU.sparse.map" in pax or b"GNU.sparse.offset" in pax


def read_pax(pax: Mapping[bytes, bytes], take: Callable[[int], bytes]) -> tuple[int, Segments]:
    """The PAX formats. `take` reads from the entry's data, where 1.0 has its map."""
    size = _number(pax.get(b"GNU.sparse.realsize") or pax.get(b"GNU.sparse.size") or b"")
    if b"GNU.sparse.major" in pax:
        numbers = _read_map(take)
    elif b"GNU.sparse.map" in pax:
        numbers = [_number(text) for text in pax[b"GNU.sparse.map"].split(b",") if text]
    else:
        offsets = pax[b"GNU.sparse.offset"].split(b",")
        lengths = pax.get(b"GNU.sparse.numbytes", b"").split(b",")
        numbers = [_number(text) for pair in zip(offsets, lengths, strict=False) for text in pair]
    if len(numbers) % 2:
        raise _malformed()
    return size, list(zip(numbers[::2], numbers[1::2], strict=True))


def _read_map(take: Callable[[int], bytes]) -> list[int]:
    """1.0: the number of segments, then their numbers, a line each, padded to whole blocks."""
    blocks = [take(_BLOCK)]
    count = _number(blocks[0].partition(b"\n")[0])
    if count > _SEGMENTS_MAX:
        raise _malformed()
    missing = 1 + 2 * count - blocks[0].count(b"\n")
    while missing > 0:
        blocks.append(take(_BLOCK))
        missing -= blocks[-1].count(b"\n")
    return [_number(line) for line in b"".join(blocks).split(b"\n")[1 : 1 + 2 * count]]


def check(size: int, segments: Segments, stored: int) -> None:
    """The segments are in order, apart from each other, within the file, and together what the tar stores."""
    end = total = 0
    for offset, length in segments:
        if offset < end or length < 0 or offset + length > size:
            raise _malformed()
        end, total = offset + length, total + length
    if total > stored or size < 0:
        raise _malformed()


def _number(text: bytes) -> int:
    if not text.isdigit() or len(text) > 20:
        raise _malformed()
    return int(text)


def _malformed() -> Corrupt:
    return Corrupt("the tar has a file with malformed holes")

"""A tar stream as entries: ustar, GNU (long names, base-256 numbers, sparse) and PAX (numbers, names, xattrs, sparse).

Pure: the bytes come from a `read` function, in one pass and in bounded pieces. Tolerant where real images are odd (no
end-of-archive blocks, no padding after the last file); all else that is wrong is Corrupt. Names stay bytes, unchecked:
they are a stranger's, and unpack.py is where they meet a file system.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from actors.plugins.image import sparse
from actors.plugins.image.faults import Corrupt

BLOCK = 512
_CHUNK_BYTES = 1 << 20
_META_BYTES_MAX = 1 << 20
_XATTR = b"SCHILY.xattr."

Read = Callable[[int], bytes]
Pax = dict[bytes, bytes]


class Entry(msgspec.Struct, kw_only=True):
    """One member. `kind`: f(ile) h(ard link) l (symbolic link) d(irectory) c(har) b(lock) p(ipe).

    `size` is what its data unpacks to, holes included. `segments`: (offset, length) of the data in the file.
    """

    name: bytes
    kind: str
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    size: int = 0
    target: bytes = b""
    device: tuple[int, int] = (0, 0)
    xattrs: dict[str, bytes] = {}
    segments: list[tuple[int, int]] = []


class TarReader:
    """Iterate over the entries; between two steps, `data` gives the current one's contents (or skips them)."""

    def __init__(self, read: Read, seek: Callable[[int], object] | None = None) -> None:
        """`seek` skips bytes without reading them, where the tar is a file."""
        self._read, self._seek = read, seek
        self._left = 0  # of the current entry's data in the stream
        self._padding = 0
        self._segments: list[tuple[int, int]] = []

    def __iter__(self) -> Iterator[Entry]:
        while (entry := self._next()) is not None:
            yield entry

    def data(self) -> Iterator[tuple[int, bytes]]:
        """(offset in the file, bytes): the holes of a sparse file are left out."""
        for offset, length in self._segments:
            while length:
                chunk = self._take(min(length, _CHUNK_BYTES))
                yield offset, chunk
                offset, length = offset + len(chunk), length - len(chunk)

    def _next(self) -> Entry | None:
        pax: Pax = {}
        longs: dict[bytes, bytes] = {}
        while (block := self._header()) is not None:
            kind, size = block[156:157], self._number(block[124:136])
            if kind in b"LK":
                longs[kind] = self._meta(size).split(b"\0", 1)[0]
            elif kind in b"xX":
                pax |= parse_pax(self._meta(size))
            elif kind == b"g":
                self._meta(size)
            else:
                return self._entry(block, pax, longs)
        if pax or longs:
            raise Corrupt("the tar ends after an extended header")
        return None

    def _entry(self, block: bytes, pax: Pax, longs: dict[bytes, bytes]) -> Entry:
        name = pax.get(b"path") or longs.get(b"L") or _ustar_name(block)
        target = pax.get(b"linkpath") or longs.get(b"K") or _text(block[157:257])
        size = _decimal(pax[b"size"]) if b"size" in pax else self._number(block[124:136])
        kind = _KINDS.get(block[156:157])
        if kind is None:
            raise Corrupt(f"the tar has an entry of the unknown type {block[156:157]!r}")
        if kind == "f" and name.endswith(b"/"):
            kind = "d"
        entry = Entry(
            name=name,
            kind=kind,
            mode=self._number(block[100:108]) & 0o7777,
            uid=_decimal(pax[b"uid"]) if b"uid" in pax else self._number(block[108:116]),
            gid=_decimal(pax[b"gid"]) if b"gid" in pax else self._number(block[116:124]),
            mtime_ns=_nanoseconds(pax[b"mtime"]) if b"mtime" in pax else self._number(block[136:148]) * 10**9,
            target=target,
            xattrs={
                key[len(_XATTR) :].decode("utf-8", "replace"): value
                for key, value in pax.items()
                if key.startswith(_XATTR)
            },
        )
        if kind in "cb":
            entry.device = (self._number(block[329:337]), self._number(block[337:345]))
        self._begin(size if block[156:157] in _WITH_DATA else 0)
        if kind == "f":
            self._describe_data(entry, block, pax, size)
        return entry

    def _describe_data(self, entry: Entry, block: bytes, pax: Pax, size: int) -> None:
        entry.size, entry.segments = size, [(0, size)] if size else []
        if block[156:157] == b"S":
            entry.size, entry.segments = sparse.read_gnu(block, self._exactly, self._number)
        elif sparse.is_pax(pax):
            entry.name = pax.get(b"GNU.sparse.name") or entry.name
            entry.size, entry.segments = sparse.read_pax(pax, self._take)
        sparse.check(entry.size, entry.segments, self._left)
        self._segments = entry.segments

    def _header(self) -> bytes | None:
        """The next header block; None at the end, with or without the end-of-archive blocks."""
        self._skip(self._left)
        self._segments = []
        if not self._skip_padding():
            return None
        block = self._up_to(BLOCK)
        if not block.strip(b"\0"):
            return None
        if len(block) < BLOCK:
            raise Corrupt("the tar ends within a header")
        if self._number(block[148:156]) != sum(block[:148]) + 256 + sum(block[156:]):
            raise Corrupt("the tar has a header with a wrong checksum")
        return block

    def _meta(self, size: int) -> bytes:
        if size > _META_BYTES_MAX:
            raise Corrupt(f"the tar has an extended header of {size} bytes: refused")
        self._begin(size)
        return self._take(size)

    def _begin(self, size: int) -> None:
        if size < 0:
            raise Corrupt("the tar has an entry of negative size")
        self._left, self._padding = size, -size % BLOCK

    def _take(self, count: int) -> bytes:
        """Bytes of the current entry's data."""
        if count > self._left:
            raise Corrupt("the tar has an entry whose parts are longer than the whole")
        self._left -= count
        return self._exactly(count)

    def _skip(self, count: int) -> None:
        if self._seek is not None and count > _CHUNK_BYTES:
            self._left -= count
            self._seek(count)
            return
        while count:
            count -= len(self._take(min(count, _CHUNK_BYTES)))

    def _skip_padding(self) -> bool:
        """False where the stream ends within the padding of its last file."""
        padding, self._padding = self._padding, 0
        return len(self._up_to(padding)) == padding

    def _exactly(self, count: int) -> bytes:
        found = self._up_to(count)
        if len(found) < count:
            raise Corrupt("the tar ends within a file")
        return found

    def _up_to(self, count: int) -> bytes:
        found = self._read(count)
        if len(found) == count or not found:
            return found
        parts = [found]
        missing = count - len(found)
        while missing and (found := self._read(missing)):
            parts.append(found)
            missing -= len(found)
        return b"".join(parts)

    @staticmethod
    def _number(field: bytes) -> int:
        """Octal text, or base 256 where the first bit is set. Never negative but for times, which may be."""
        if field[0] & 0x80:
            return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big") - (
                1 << (8 * len(field) - 1) if field[0] & 0x40 else 0
            )
        try:
            return int(field.split(b"\0", 1)[0].strip() or b"0", 8)
        except ValueError:
            raise Corrupt(f"the tar has {field!r} where a number must be") from None


_KINDS = {
    **dict.fromkeys((b"0", b"\0", b"7", b"S"), "f"),
    b"1": "h",
    b"2": "l",
    b"3": "c",
    b"4": "b",
    b"5": "d",
    b"6": "p",
}
#: A size in the headers of the others (old tars have one in hard links) is not followed by data.
_WITH_DATA = (b"0", b"\0", b"7", b"S")


def parse_pax(body: bytes) -> Pax:
    """The records `length key=value\\n` of an extended header. GNU's sparse 0.0 repeats keys: joined with commas."""
    records: Pax = {}
    while body and body.strip(b"\0"):
        digits, space, _ = body.partition(b" ")
        length = int(digits) if space and digits.isdigit() and len(digits) < 8 else 0
        record, body = body[len(digits) + 1 : length], body[length:]
        key, equals, value = record.partition(b"=")
        if not equals or not record.endswith(b"\n") or len(digits) + 1 + len(record) != length:
            raise Corrupt("the tar has a malformed extended header")
        value = value[:-1]
        if key in sparse.REPEATED and key in records:
            value = records[key] + b"," + value
        records[key] = value
    return records


def _ustar_name(block: bytes) -> bytes:
    prefix = _text(block[345:500]) if block[257:263] == b"ustar\0" else b""
    name = _text(block[:100])
    return prefix + b"/" + name if prefix else name


def _text(field: bytes) -> bytes:
    return field.split(b"\0", 1)[0]


def _decimal(text: bytes) -> int:
    if not text.isdigit() or len(text) > 20:
        raise Corrupt(f"the tar has {text[:32]!r} where a number must be")
    return int(text)


def _nanoseconds(text: bytes) -> int:
    """`1350244992.023960108`, exactly."""
    seconds, _, fraction = text.removeprefix(b"-").partition(b".")
    value = _decimal(seconds or b"0") * 10**9 + _decimal((fraction[:9] or b"0").ljust(9, b"0"))
    return -value if text.startswith(b"-") else value

"""The tar reader against Python's tarfile as the writer, and against rubbish."""

from __future__ import annotations

import io
import tarfile

from hypothesis import example, given
from hypothesis import strategies as st

from actors.plugins.image.faults import Corrupt
from actors.plugins.image.tar import TarReader

KINDS = {
    tarfile.REGTYPE: "f",
    tarfile.DIRTYPE: "d",
    tarfile.SYMTYPE: "l",
    tarfile.LNKTYPE: "h",
    tarfile.FIFOTYPE: "p",
    tarfile.CHRTYPE: "c",
    tarfile.BLKTYPE: "b",
}
NAME = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=300).filter(
    lambda name: name.strip("/") == name
)
FORMATS = st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])


@st.composite
def members(draw: st.DrawFn) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(draw(NAME))
    info.type = draw(st.sampled_from(list(KINDS)))
    info.mode = draw(st.integers(0, 0o7777))
    info.uid, info.gid = draw(st.integers(0, 2**31)), draw(st.integers(0, 2**31))
    info.mtime = draw(st.integers(-(2**33), 2**33))
    content = draw(st.binary(max_size=1500)) if info.type == tarfile.REGTYPE else b""
    info.size = len(content)
    if info.type in (tarfile.SYMTYPE, tarfile.LNKTYPE):
        info.linkname = draw(NAME)
    if info.type in (tarfile.CHRTYPE, tarfile.BLKTYPE):
        info.devmajor, info.devminor = draw(st.integers(0, 4095)), draw(st.integers(0, 2**20))
    return info, content


def write(entries: list[tuple[tarfile.TarInfo, bytes]], format: int) -> bytes:
    out = io.BytesIO()
    for info, content in entries:
        out.write(info.tobuf(format, "utf-8", "strict") + content + bytes(-len(content) % 512))
    return out.getvalue()


@given(st.lists(members(), max_size=6), FORMATS, st.integers(0, 3), st.integers(1, 4000))
def test_what_tarfile_writes_is_read(
    entries: list[tuple[tarfile.TarInfo, bytes]], format: int, zero_blocks: int, piece: int
) -> None:
    source = io.BytesIO(write(entries, format) + bytes(512 * zero_blocks))
    reader = TarReader(lambda count: source.read(min(count, piece)))
    found = [(entry, b"".join(chunk for _, chunk in reader.data())) for entry in reader]
    assert len(found) == len(entries)
    for (entry, content), (info, wanted) in zip(found, entries, strict=True):
        assert (entry.name.decode().rstrip("/"), entry.kind, content) == (info.name, KINDS[info.type], wanted)
        assert (entry.mode, entry.uid, entry.gid) == (info.mode, info.uid, info.gid)
        assert entry.mtime_ns == info.mtime * 10**9
        assert (entry.size, entry.target.decode()) == (info.size, info.linkname)
        if entry.kind in "cb":
            assert entry.device == (info.devmajor, info.devminor)


@given(st.lists(members(), min_size=2, max_size=4), st.data())
def test_contents_that_nobody_reads_are_skipped(
    entries: list[tuple[tarfile.TarInfo, bytes]], data: st.DataObject
) -> None:
    reader = TarReader(io.BytesIO(write(entries, tarfile.PAX_FORMAT)).read)
    names = []
    for entry in reader:
        names.append(entry.name.decode().rstrip("/"))
        chunks = reader.data()
        if data.draw(st.booleans()):
            next(chunks, None)
    assert names == [info.name for info, _ in entries]


@given(st.lists(members(), min_size=1, max_size=3), FORMATS, st.data())
def test_damage_is_corrupt_or_another_tar_but_never_a_crash(
    entries: list[tuple[tarfile.TarInfo, bytes]], format: int, data: st.DataObject
) -> None:
    blob = bytearray(write(entries, format))
    for _ in range(data.draw(st.integers(1, 4))):
        blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
    read_all(bytes(blob[: data.draw(st.integers(0, len(blob)))]))


def _with_checksum(header: bytes) -> bytes:
    total = sum(header[:148]) + 256 + sum(header[156:])
    return header[:148] + b"%06o\0 " % total + header[156:]


@given(st.binary(min_size=512, max_size=512), st.sampled_from(b"01234567xgLKSVMDNX\0"), st.binary(max_size=2000))
@example(b"\xff" * 512, ord("S"), b"\xff" * 1024)
@example(b"\x80" * 512, ord("x"), b"")
def test_headers_of_rubbish_with_a_right_checksum(header: bytes, kind: int, body: bytes) -> None:
    read_all(_with_checksum(header[:156] + bytes([kind]) + header[157:]) + body)


KEYS = [f"GNU.sparse.{key}" for key in ("major", "map", "size", "realsize", "offset", "numbytes", "name")]
KEYS += ["path", "linkpath", "size", "uid", "gid", "mtime", "SCHILY.xattr.user.a"]


@given(
    st.dictionaries(
        st.sampled_from(KEYS),
        st.text(alphabet="0123456789,.-ae\n\x00", max_size=30),
        max_size=6,
    ),
    st.binary(max_size=1200),
)
def test_extended_headers_of_rubbish(pax: dict[str, str], content: bytes) -> None:
    info = tarfile.TarInfo("f")
    info.size, info.pax_headers = len(content), pax
    read_all(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict") + content + bytes(-len(content) % 512))


def read_all(blob: bytes) -> None:
    """Read it as a layer; all that may come of it is Corrupt, and no more data than there is."""
    reader = TarReader(io.BytesIO(blob).read)
    try:
        for entry in reader:
            assert entry.size >= 0
            assert sum(len(chunk) for _, chunk in reader.data()) <= len(blob)
    except Corrupt:
        pass

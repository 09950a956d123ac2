"""Tars written entry by entry, with whatever in them: `tar(entry("a", b"x"), entry("l", kind=SYMTYPE, target="a"))`."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path
from tarfile import BLKTYPE, CHRTYPE, DIRTYPE, FIFOTYPE, LNKTYPE, REGTYPE, SYMTYPE

from actors.plugins.image.unpack import Unpacked, unpack

__all__ = ["BLKTYPE", "CHRTYPE", "DIRTYPE", "FIFOTYPE", "LNKTYPE", "REGTYPE", "SYMTYPE", "entry", "tar", "unpack_to"]

Entry = tuple[tarfile.TarInfo, bytes]


def entry(
    name: str,
    content: bytes = b"",
    *,
    kind: bytes = REGTYPE,
    target: str = "",
    mode: int = 0o644,
    owner: tuple[int, int] = (0, 0),
    device: tuple[int, int] = (0, 0),
    mtime: float = 0,
    pax: Mapping[str, str] | None = None,
) -> Entry:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.mtime = kind, target, mode, mtime
    info.uid, info.gid = owner
    info.devmajor, info.devminor = device
    info.size, info.pax_headers = len(content), dict(pax or {})
    return info, content


def tar(*entries: Entry, ending: bool = True, format: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    for info, content in entries:
        out.write(info.tobuf(format, "utf-8", "surrogateescape"))
        out.write(content + bytes(-len(content) % 512))
    return out.getvalue() + (bytes(1024) if ending else b"")


def unpack_to(directory: Path, blob: bytes, entries_max: int = 1_000) -> Unpacked:
    directory.mkdir(exist_ok=True)
    result, root = Unpacked(), os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        unpack(io.BytesIO(blob).read, root, entries_max, result)
    finally:
        os.close(root)
    return result

"""The files of an image archive, by name: a tar (plain, gzip or zstd) or a directory, never unpacked to disk.

Names are looked up in an index of the tar's members, so nothing a stranger writes there becomes a path of ours.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO, Protocol

from actors.plugins.image.faults import Corrupt, NotPullable
from actors.plugins.image.inflate import Read, inflate
from actors.plugins.image.manifest import DOCUMENT_BYTES_MAX
from actors.plugins.image.tar import TarReader
from actors.plugins.tree import open_in_root

_MEMBERS_MAX = 100_000
_LINKS_MAX = 8


class Archive(Protocol):
    """Names as OCI's layout writes them: relative, with `/`."""

    def size(self, name: str) -> int:
        """Raises KeyError where there is no such file."""
        ...

    def open(self, name: str) -> Read:
        """A reader of its own position. Raises KeyError."""
        ...

    def close(self) -> None: ...


def read_document(archive: Archive, name: str) -> bytes:
    """A small file, whole. Raises KeyError, Corrupt."""
    size = archive.size(name)
    if size > DOCUMENT_BYTES_MAX:
        raise Corrupt(f"{name} in the archive is larger than {DOCUMENT_BYTES_MAX} bytes: refused")
    read, body = archive.open(name), b""
    while len(body) < size and (chunk := read(size - len(body))):
        body += chunk
    return body


def open_archive(path: Path, spool: Path) -> Archive:
    """`spool` is a name for a temporary file, where the archive is compressed. Raises NotPullable, OSError."""
    if path.is_dir():
        return DirectoryArchive(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise NotPullable(f"{path} is neither a file nor a directory")
        file = path.open("rb")
    except OSError as error:
        raise NotPullable(f"{path} cannot be read: {error.strerror}") from error
    try:
        return TarArchive(_spooled(file, spool) if _is_compressed(file) else file)
    except Corrupt as fault:
        file.close()
        raise NotPullable(f"{path} is no image archive: {fault}") from fault


def _is_compressed(file: BinaryIO) -> bool:
    start = file.read(4)
    file.seek(0)
    return start[:2] == b"\x1f\x8b" or start == b"\x28\xb5\x2f\xfd"


def _spooled(file: BinaryIO, spool: Path) -> BinaryIO:
    """The plain archive in a file that has no name any more."""
    with file, spool.open("xb+") as plain:
        spool.unlink()
        for chunk in inflate(file.read):
            plain.write(chunk)
        plain.flush()
        return os.fdopen(os.dup(plain.fileno()), "rb")


class TarArchive:
    """A seekable tar, its members found in one pass that skips their contents."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._fd = file, file.fileno()
        self._members: dict[str, tuple[int, int]] = {}
        self._links: dict[str, str] = {}
        file.seek(0)
        for count, entry in enumerate(TarReader(file.read, lambda skipped: file.seek(skipped, os.SEEK_CUR))):
            if count >= _MEMBERS_MAX:
                raise Corrupt(f"the archive has more than {_MEMBERS_MAX} members: refused")
            name = _clean(os.fsdecode(entry.name))
            if entry.kind == "f" and entry.segments in ([], [(0, entry.size)]):
                self._members[name] = (file.tell(), entry.size)
            elif entry.kind in "lh":
                target = os.fsdecode(entry.target)
                self._links[name] = _clean(target if entry.kind == "h" else os.path.join(os.path.dirname(name), target))

    def close(self) -> None:
        self._file.close()

    def _find(self, name: str) -> tuple[int, int]:
        """Old `docker save` writes a layer that comes twice as a link to the first."""
        name = _clean(name)
        for _ in range(_LINKS_MAX):
            if name in self._members:
                return self._members[name]
            name = self._links[name]
        raise KeyError(name)

    def size(self, name: str) -> int:
        return self._find(name)[1]

    def open(self, name: str) -> Read:
        start, size = self._find(name)
        end = start + size

        def read(count: int) -> bytes:
            nonlocal start
            chunk = os.pread(self._fd, min(count, end - start), start)
            start += len(chunk)
            return chunk

        return read


class DirectoryArchive:
    """An OCI layout that lies unpacked in a directory; links in it cannot lead out."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def close(self) -> None:
        """Nothing is kept open."""

    def _open_file(self, name: str) -> BinaryIO:
        root = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            return os.fdopen(open_in_root(root, os.fsencode(_clean(name)), os.O_RDONLY | os.O_NONBLOCK), "rb")
        except OSError as error:
            raise KeyError(name) from error
        finally:
            os.close(root)

    def size(self, name: str) -> int:
        with self._open_file(name) as file:
            return os.fstat(file.fileno()).st_size

    def open(self, name: str) -> Read:
        return self._open_file(name).read


def _clean(name: str) -> str:
    return os.path.normpath("/" + name).lstrip("/")

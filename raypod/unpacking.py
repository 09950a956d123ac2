"""A tar stream that nobody vouches for, unpacked below one folder: whatever it names, nothing is written elsewhere.

Every folder on the way is opened without following links, so neither a link of the archive nor one that was there
leads out. Links of the archive are made last, and only those that stay inside. A file is written under another name
and gets its own when it is complete. Special files, set-uid bits and owners are not taken over.
"""

from __future__ import annotations

import os
import secrets
import tarfile
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Any

from raypod.errors import CopyError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PIECE_BYTES = 1 << 20
_HEADER_BYTES_MAX = 1 << 20
_HEADERS = frozenset({tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE,
                      tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK})  # fmt: skip

Parts = tuple[str, ...]
#: From a name in the archive to where it goes below the folder; raises CopyError for one that must not be there.
Place = Callable[[str], Parts]


def parts_of(name: str) -> Parts:
    """The components of a relative path. Raises CopyError for one that leads elsewhere."""
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if name.startswith("/") or ".." in parts or "\0" in name:
        raise CopyError(
            f"the container's tar names {name!r}, which lies outside of what was asked for: nothing more is written"
        )
    return parts


def stays_inside(parent: Parts, target: str) -> bool:
    """Does a link in `parent` to `target` stay below the folder, whatever the links on its way are?

    Only leading `..` are taken, for these go up through real folders; one behind a name may go up from elsewhere.
    """
    words = [word for word in target.split("/") if word not in ("", ".")]
    ups = next((at for at, word in enumerate(words) if word != ".."), len(words))
    return not target.startswith("/") and ups <= len(parent) and ".." not in words[ups:]


class _Member(tarfile.TarInfo):
    """Headers that go before another are read into memory: none that is larger than any name can be."""

    def _proc_member(self, archive: tarfile.TarFile) -> Any:
        if self.type in _HEADERS and self.size > _HEADER_BYTES_MAX:
            raise tarfile.ReadError(f"a header of {self.size} bytes")
        return super()._proc_member(archive)  # type: ignore[misc]  # typeshed leaves it out


def unpack(stream: IO[bytes], root: str, place: Place) -> tuple[int, list[str]]:
    """(how many were written, what was left out, in words). Raises CopyError, OSError."""
    unpacker = _Unpacker(root, place)
    try:
        with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Member) as archive:
            for member in archive:
                unpacker.take(archive, member)
        unpacker.link()
    except tarfile.TarError as error:
        raise CopyError(f"what the container's tar sent is broken off or no archive: {error}") from error
    finally:
        unpacker.close()
    return unpacker.count, unpacker.left_out


class _Unpacker:
    def __init__(self, root: str, place: Place) -> None:
        self._place = place
        self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._folder: tuple[Parts, int] = ((), os.dup(self._root))
        self._files: set[Parts] = set()
        self._links: list[tuple[Parts, str]] = []
        self.count, self.left_out = 0, list[str]()

    def close(self) -> None:
        os.close(self._folder[1])
        os.close(self._root)

    def take(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        parts = self._place(member.name)
        if member.isdir():
            self._open_folder(parts)
            self.count += 1
        elif not parts:
            raise CopyError(f"the container's tar names {member.name!r}, which is no file")
        elif member.isreg():
            self._write(archive, member, parts)
        elif member.issym():
            self._links.append((parts, member.linkname))
        elif member.islnk():
            self._link_file(parts, self._place(member.linkname))
        else:
            self.left_out.append(f"{member.name}: neither file, folder nor link")

    def link(self) -> None:
        for parts, target in self._links:
            if not stays_inside(parts[:-1], target):
                self.left_out.append(f"{'/'.join(parts)}: a link to {target}, outside of what is copied")
                continue
            folder = self._open_folder(parts[:-1])
            _remove(folder, parts[-1])
            os.symlink(target, parts[-1], dir_fd=folder)
            self.count += 1

    def _write(self, archive: tarfile.TarFile, member: tarfile.TarInfo, parts: Parts) -> None:
        folder, draft = self._open_folder(parts[:-1]), f".raypod-{secrets.token_hex(8)}"
        source = archive.extractfile(member)
        assert source is not None, "it is a regular file"
        try:
            with open(os.open(draft, _NEW_FILE, 0o600, dir_fd=folder), "wb", buffering=0) as file:
                while piece := source.read(_PIECE_BYTES):
                    file.write(piece)
                os.fchmod(file.fileno(), member.mode & 0o777)
                os.utime(file.fileno(), (member.mtime, member.mtime))
            os.replace(draft, parts[-1], src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(draft, dir_fd=folder)
            raise
        self._files.add(parts)
        self.count += 1

    def _link_file(self, parts: Parts, target: Parts) -> None:
        """Only to what this archive has brought."""
        if target not in self._files:
            raise CopyError(f"the container's tar links {'/'.join(parts)} to {'/'.join(target)}, which it has not sent")
        source = os.dup(self._open_folder(target[:-1]))
        try:
            folder = self._open_folder(parts[:-1])
            _remove(folder, parts[-1])
            os.link(target[-1], parts[-1], src_dir_fd=source, dst_dir_fd=folder, follow_symlinks=False)
        finally:
            os.close(source)
        self._files.add(parts)
        self.count += 1

    def _open_folder(self, parts: Parts) -> int:
        """Made where it is missing. Good until the next call."""
        if self._folder[0] == parts:
            return self._folder[1]
        folder = os.dup(self._root)
        for part in parts:
            with suppress(FileExistsError):
                os.mkdir(part, 0o755, dir_fd=folder)
            try:
                inner = os.open(part, _FOLDER, dir_fd=folder)
            except OSError as error:
                raise CopyError(f"cannot write below {'/'.join(parts)}: {part!r} is a file or a link here") from error
            finally:
                os.close(folder)
            folder = inner
        os.close(self._folder[1])
        self._folder = (parts, folder)
        return folder


def _remove(folder: int, name: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=folder)

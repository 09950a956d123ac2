"""A layer's tar to a directory that overlayfs can use as a lower layer. Nothing is ever written outside of it.

Parents are resolved with openat2 within the layer, every object is made with O_EXCL or its like and without following
links. Whiteouts become what overlayfs wants (a 0:0 device, trusted.overlay.opaque). Refused: `..` in a name or in a
hard link's target, and what a file system cannot hold. Made harmless: absolute names (the layer is their root), devices
other than null, zero, full, random, urandom and tty (an empty file of mode 0), xattrs that mean something to the host.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable

import msgspec

from actors.api.text import shorten
from actors.plugins.image.attributes import clamp_time, describe, describe_file
from actors.plugins.image.faults import Corrupt
from actors.plugins.image.tar import Entry, Read, TarReader
from actors.plugins.tree import is_directory, open_in_root, remove_entry

_WHITEOUT, _OPAQUE, _AUFS = b".wh.", b".wh..wh..opq", b".wh..wh."
OPAQUE_XATTR = "trusted.overlay.opaque"
#: Of a name in a message: names can be as long as the tar.
_QUOTED_MAX = 200
_CHARACTER_DEVICES = frozenset(((1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0)))
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
#: What a name can be that a file system refuses: the tar's fault and not the machine's.
_TAR_ERRNOS = frozenset(
    (
        errno.ENAMETOOLONG,
        errno.EINVAL,
        errno.ELOOP,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.ENOENT,
        errno.EMLINK,
        errno.EFBIG,
        errno.EXDEV,
    )
)


class Unpacked(msgspec.Struct):
    """What a layer holds: its size (a file counts when it begins), and the directories its tar does not describe."""

    size_bytes: int = 0
    entries: int = 0
    implicit: list[str] = []


def unpack(read: Read, root_fd: int, entries_max: int, result: Unpacked) -> None:
    """Unpack the tar into the empty directory, up to the tar's end, counting in `result` from the first byte on.

    Raises Corrupt; an OSError is the disk's.
    """
    with contextlib.closing(_Unpacker(root_fd, result)) as unpacker:
        reader = TarReader(read)
        for entry in reader:
            result.entries += 1
            if result.entries > entries_max:
                raise Corrupt(f"the layer has more than {entries_max} entries: refused")
            try:
                unpacker.add(entry, reader)
            except OSError as error:
                if error.errno in _TAR_ERRNOS:
                    raise Corrupt(f"the layer's entry {_quote(entry.name)} is refused: {error.strerror}") from error
                raise
        unpacker.finish()


def split_name(name: bytes) -> tuple[bytes, bytes]:
    """(parent, last part) within the layer; ("", "") is the layer's root. Raises Corrupt for `..` and NUL."""
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if b".." in parts or b"\0" in name:
        raise Corrupt(f"the layer's entry {_quote(name)} leads out of the layer: refused")
    return (b"/".join(parts[:-1]), parts[-1]) if parts else (b"", b"")


def _quote(name: bytes) -> str:
    return repr(shorten(os.fsdecode(name), _QUOTED_MAX))


class _Unpacker:
    """The state of one layer's unpacking: the last parent (kept open), directories' times, whiteouts seen."""

    def __init__(self, root_fd: int, result: Unpacked) -> None:
        self._root, self._result = root_fd, result
        self._parent: tuple[bytes, int] = (b"", os.dup(root_fd))
        self._times: dict[bytes, int] = {}
        self._whiteouts: set[bytes] = set()
        self._opaque: set[bytes] = set()
        self._implicit: set[bytes] = {b""}

    def close(self) -> None:
        os.close(self._parent[1])

    def add(self, entry: Entry, reader: TarReader) -> None:
        parent, name = split_name(entry.name)
        if parent.startswith(_AUFS):
            return  # bookkeeping of AUFS, which means nothing to anybody else
        if not name:
            self._describe_root(entry)
        elif name.startswith(_WHITEOUT):
            self._whiteout(parent, name)
        else:
            self._make(entry, reader, self._open_parent(parent), parent, name)

    def finish(self) -> None:
        """Directories get their times last: unpacking into them has changed them."""
        self._drop_needless_whiteouts()
        for path, mtime_ns in sorted(self._times.items(), reverse=True):
            with contextlib.suppress(OSError):
                fd = open_in_root(self._root, path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
                try:
                    os.utime(fd, ns=(mtime_ns, mtime_ns))
                finally:
                    os.close(fd)
        self._result.implicit = sorted(os.fsdecode(path) for path in self._implicit)

    def _drop_needless_whiteouts(self) -> None:
        """Below an opaque directory there is nothing to hide, and overlayfs would show the whiteout itself."""
        for path in self._whiteouts:
            above = path
            while above and above not in self._opaque:
                above = above.rpartition(b"/")[0]
            if above in self._opaque:
                self._drop_whiteout(*split_name(path))

    def _drop_whiteout(self, parent: bytes, name: bytes) -> None:
        """Unless a later entry has replaced it, or one of its parents."""
        try:
            fd = self._open_parent(parent)
            if _is_whiteout(fd, name):
                os.unlink(name, dir_fd=fd)
        except OSError as error:
            if error.errno not in _TAR_ERRNOS:
                raise

    def _describe_root(self, entry: Entry) -> None:
        if entry.kind == "d":
            describe(self._root, b".", entry)
            self._times[b""] = clamp_time(entry.mtime_ns)
            self._implicit.discard(b"")

    def _open_parent(self, path: bytes) -> int:
        """The directory's descriptor, valid until the next call."""
        if path != self._parent[0]:
            fd = self._open_directory(path)
            os.close(self._parent[1])
            self._parent = (path, fd)
        return self._parent[1]

    def _open_directory(self, path: bytes) -> int:
        try:
            return open_in_root(self._root, path)
        except (FileNotFoundError, NotADirectoryError):
            pass
        parts = path.split(b"/")
        for depth in range(1, len(parts) + 1):
            self._make_implicit(b"/".join(parts[:depth]))
        return open_in_root(self._root, path)

    def _make_implicit(self, path: bytes) -> None:
        """A directory that the tar forgot to describe (parents.py finds out what it should look like)."""
        above, _, name = path.rpartition(b"/")
        fd = open_in_root(self._root, above)
        try:
            if path in self._whiteouts and _is_whiteout(fd, name):
                os.unlink(name, dir_fd=fd)
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o755, dir_fd=fd)
                self._implicit.add(path)
                self._inherit_whiteout(fd, above, name)
        finally:
            os.close(fd)

    def _inherit_whiteout(self, fd: int, parent: bytes, name: bytes) -> None:
        """A directory where a whiteout was: it is new, and what the layers below have there stays hidden."""
        path = _join(parent, name)
        if path in self._whiteouts:
            self._whiteouts.discard(path)
            self._set_opaque(fd, parent, name)

    def _whiteout(self, parent: bytes, name: bytes) -> None:
        hidden = name[len(_WHITEOUT) :]
        if name == _OPAQUE:
            os.setxattr(self._open_parent(parent), OPAQUE_XATTR, b"y")
            self._opaque.add(parent)
        elif name.startswith(_AUFS):
            pass
        elif hidden in (b"", b".", b".."):
            raise Corrupt(f"the layer's whiteout {_quote(name)} leads out of the layer: refused")
        else:
            self._hide(self._open_parent(parent), parent, hidden)

    def _hide(self, fd: int, parent: bytes, name: bytes) -> None:
        """A whiteout is about the layers below: what this layer itself has under that name stays."""
        try:
            os.mknod(name, stat.S_IFCHR, 0, dir_fd=fd)
            self._whiteouts.add(_join(parent, name))
        except FileExistsError:
            if is_directory(fd, name):
                self._set_opaque(fd, parent, name)

    def _set_opaque(self, fd: int, parent: bytes, name: bytes) -> None:
        directory = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
        try:
            os.setxattr(directory, OPAQUE_XATTR, b"y")
            self._opaque.add(_join(parent, name))
        finally:
            os.close(directory)

    def _make(self, entry: Entry, reader: TarReader, fd: int, parent: bytes, name: bytes) -> None:
        path = _join(parent, name)
        try:
            self._create(entry, reader, fd, name)
        except FileExistsError:
            if entry.kind != "d" or not is_directory(fd, name):
                self._replace(entry, reader, fd, name)
        if entry.kind == "h":
            return
        if entry.kind == "d":
            self._times[path] = clamp_time(entry.mtime_ns)
            self._implicit.discard(path)
            self._inherit_whiteout(fd, parent, name)
        if entry.kind != "f":
            describe(fd, name, entry)

    def _replace(self, entry: Entry, reader: TarReader, fd: int, name: bytes) -> None:
        """The later entry of a name wins."""
        if entry.kind == "h" and self._same_file(entry.target, fd, name):
            return
        remove_entry(fd, name)
        self._parent = (b"\0", fd)  # what was removed may have been on the way to the parent: resolve it anew
        self._create(entry, reader, fd, name)

    def _same_file(self, target: bytes, fd: int, name: bytes) -> bool:
        parent, last = split_name(target)
        directory = open_in_root(self._root, parent)
        try:
            there, here = (
                os.stat(which, dir_fd=where, follow_symlinks=False) for which, where in ((last, directory), (name, fd))
            )
        finally:
            os.close(directory)
        return os.path.samestat(there, here)

    def _create(self, entry: Entry, reader: TarReader, fd: int, name: bytes) -> None:
        kind: Callable[[Entry, int, bytes], None] | None = _MAKERS.get(entry.kind)
        if entry.kind == "f":
            self._write_file(entry, reader, fd, name)
        elif entry.kind == "h":
            self._link(entry.target, fd, name)
        elif kind is not None:
            kind(entry, fd, name)

    def _write_file(self, entry: Entry, reader: TarReader, fd: int, name: bytes) -> None:
        file = os.open(name, _CREATE, 0o600, dir_fd=fd)
        self._result.size_bytes += sum(length for _, length in entry.segments)
        try:
            for offset, chunk in reader.data():
                written = 0
                while written < len(chunk):
                    written += os.pwrite(file, chunk[written:] if written else chunk, offset + written)
            if entry.segments != [(0, entry.size)] and entry.size:
                os.ftruncate(file, entry.size)
            describe_file(file, entry)
        finally:
            os.close(file)

    def _link(self, target: bytes, fd: int, name: bytes) -> None:
        parent, last = split_name(target)
        if not last:
            raise Corrupt("the layer has a hard link to a directory: refused")
        directory = open_in_root(self._root, parent)
        try:
            os.link(last, name, src_dir_fd=directory, dst_dir_fd=fd, follow_symlinks=False)
        except PermissionError as error:
            raise Corrupt(f"the layer has a hard link to {_quote(target)}, which is no file") from error
        except FileNotFoundError as error:
            raise Corrupt(f"the layer has a hard link to {_quote(target)}, which it does not hold") from error
        finally:
            os.close(directory)


def _is_whiteout(fd: int, name: bytes) -> bool:
    found = os.stat(name, dir_fd=fd, follow_symlinks=False)
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def _join(parent: bytes, name: bytes) -> bytes:
    return parent + b"/" + name if parent else name


def _make_directory(entry: Entry, fd: int, name: bytes) -> None:
    os.mkdir(name, 0o700, dir_fd=fd)


def _make_symlink(entry: Entry, fd: int, name: bytes) -> None:
    os.symlink(entry.target, name, dir_fd=fd)


def _make_pipe(entry: Entry, fd: int, name: bytes) -> None:
    os.mkfifo(name, 0o600, dir_fd=fd)


def _make_device(entry: Entry, fd: int, name: bytes) -> None:
    if entry.kind == "c" and entry.device in _CHARACTER_DEVICES:
        os.mknod(name, stat.S_IFCHR | 0o600, os.makedev(*entry.device), dir_fd=fd)
    else:
        os.mknod(name, stat.S_IFREG, 0, dir_fd=fd)
        entry.mode = 0


_MAKERS: dict[str, Callable[[Entry, int, bytes], None]] = {
    "d": _make_directory,
    "l": _make_symlink,
    "p": _make_pipe,
    "c": _make_device,
    "b": _make_device,
}

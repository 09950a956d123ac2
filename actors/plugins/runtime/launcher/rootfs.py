"""Paths inside a root file system that may be hostile: every step is an openat2 that cannot leave the root.

Symbolic links resolve inside the root, magic links not at all. Mount targets on procfs are refused: a mount there
could replace what the kernel itself says (CVE-2019-16884, CVE-2019-19921, CVE-2023-27561).
"""

from __future__ import annotations

import errno
import os
import stat

from actors.plugins.runtime.launcher import syscalls as sys

_IN_ROOT = sys.RESOLVE_IN_ROOT | sys.RESOLVE_NO_MAGICLINKS
_LINKS_MAX = 8


def open_path(root_fd: int, path: str, flags: int = os.O_PATH) -> int:
    """What `path` is inside the root."""
    return sys.openat2(root_fd, path, flags, _IN_ROOT)


def read_file(root_fd: int, path: str, size_max: int = 1 << 20) -> bytes:
    """A regular file's first bytes, b"" when there is none. Pipes and devices of the image's are not read."""
    try:
        fd = open_path(root_fd, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return b""
    try:
        return os.read(fd, size_max) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
    finally:
        os.close(fd)


def make_directory(root_fd: int, path: str, links_max: int = _LINKS_MAX) -> int:
    """Open a directory in the root, making what is missing on the way, also where a dangling link points."""
    try:
        return open_path(root_fd, path, os.O_PATH | os.O_DIRECTORY)
    except FileNotFoundError:
        pass
    parent, name = _split(path)
    parent_fd = make_directory(root_fd, parent, links_max)
    try:
        os.mkdir(name, 0o755, dir_fd=parent_fd)
        return open_path(parent_fd, name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileExistsError:
        return make_directory(root_fd, _follow(parent_fd, parent, name, links_max), links_max - 1)
    finally:
        os.close(parent_fd)


def make_file(root_fd: int, path: str, links_max: int = _LINKS_MAX) -> int:
    """Open something that is no directory in the root, making an empty file where nothing is."""
    try:
        return open_path(root_fd, path)
    except FileNotFoundError:
        pass
    parent, name = _split(path)
    parent_fd = make_directory(root_fd, parent, links_max)
    try:
        os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644, dir_fd=parent_fd))
        return open_path(parent_fd, name, os.O_PATH | os.O_NOFOLLOW)
    except FileExistsError:
        return make_file(root_fd, _follow(parent_fd, parent, name, links_max), links_max - 1)
    finally:
        os.close(parent_fd)


def _follow(parent_fd: int, parent: str, name: str, links_max: int) -> str:
    """Where a dangling link points: a path that the kernel will resolve inside the root, `..` and all."""
    if links_max <= 0:
        raise OSError(errno.ELOOP, f"too many symbolic links at {parent}/{name} in the image")
    target = os.readlink(name, dir_fd=parent_fd)
    return target if target.startswith("/") else f"{parent}/{target}"


def make_target(root_fd: int, path: str, source_fd: int, proc_device: int) -> int:
    """A place to mount `source_fd` over: of its type, and not on the procfs whose device number is `proc_device`."""
    directory = stat.S_ISDIR(os.fstat(source_fd).st_mode)
    target = make_directory(root_fd, path) if directory else make_file(root_fd, path)
    found = os.fstat(target)
    if found.st_dev == proc_device:
        os.close(target)
        raise OSError(errno.EPERM, f"refused to mount over {path}: it is inside /proc")
    if os.path.samestat(found, os.fstat(root_fd)):
        os.close(target)
        raise OSError(errno.EPERM, f"refused to mount over {path}: it is the container's root")
    if stat.S_ISDIR(found.st_mode) != directory:
        os.close(target)
        kinds = ("a directory", "a file") if directory else ("a file", "a directory")
        raise OSError(errno.ENOTDIR, f"cannot mount {kinds[0]} over {kinds[1]}: {path}")
    return target


def open_own_directory(root_fd: int, name: str) -> int:
    """A top-level directory for /proc, /sys or /dev. The image may not have made a symbolic link of it."""
    if not _exists(root_fd, name):
        os.mkdir(name, 0o755, dir_fd=root_fd)
    try:
        return sys.openat2(root_fd, name, os.O_PATH | os.O_DIRECTORY, _IN_ROOT | sys.RESOLVE_NO_SYMLINKS)
    except OSError as error:
        raise OSError(error.errno, f"/{name} in the image must be a directory, not a link or a file") from error


def _exists(directory_fd: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=directory_fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def make_symlink(root_fd: int, path: str, target: str) -> None:
    """A link in the root; an old link of that name is replaced, anything else stays as it is."""
    parent, name = _split(path)
    parent_fd = make_directory(root_fd, parent)
    try:
        try:
            os.symlink(target, name, dir_fd=parent_fd)
        except FileExistsError:
            if stat.S_ISLNK(os.stat(name, dir_fd=parent_fd, follow_symlinks=False).st_mode):
                os.unlink(name, dir_fd=parent_fd)
                os.symlink(target, name, dir_fd=parent_fd)
    finally:
        os.close(parent_fd)


def _split(path: str) -> tuple[str, str]:
    parent, _, name = path.rstrip("/").rpartition("/")
    if name in ("", ".", ".."):
        raise OSError(errno.EINVAL, f"{path} does not name anything")
    return parent or "/", name

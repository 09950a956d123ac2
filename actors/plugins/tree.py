"""System calls on trees that strangers wrote: resolve within a root, remove at any depth, write to disk, count room.

Nothing here follows a link out of the directory it was given, whatever the tree contains.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import struct
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_SYS_OPENAT2 = 437
_RESOLVE_NO_MAGICLINKS, _RESOLVE_IN_ROOT = 0x02, 0x10
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def open_in_root(root_fd: int, path: bytes, flags: int = DIRECTORY) -> int:
    """openat2(2): as if `root_fd` were "/", so that links and `..` in the tree cannot lead out of it."""
    how = struct.pack("QQQ", flags | os.O_CLOEXEC, 0, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
    fd = _LIBC.syscall(_SYS_OPENAT2, root_fd, path or b".", how, len(how))
    if fd < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), os.fsdecode(path))
    return int(fd)


def sync_filesystem(fd: int) -> None:
    """syncfs(2): everything written to the file system of `fd` is on disk when this returns."""
    if _LIBC.syncfs(fd) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def sync_directory(path: Path) -> None:
    """The names in the directory are on disk when this returns."""
    fd = os.open(path, DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def remove_tree(path: Path) -> None:
    """Remove a directory, however deep: subdirectories are first moved to its top, so no path grows long."""
    with contextlib.suppress(FileNotFoundError):
        top = os.open(path, DIRECTORY | os.O_NOFOLLOW)
        try:
            while _flatten(top):
                pass
        finally:
            os.close(top)
        os.rmdir(path)


def remove_entry(parent_fd: int, name: bytes) -> None:
    """Remove what has this name in the directory, with all that is below it."""
    try:
        os.unlink(name, dir_fd=parent_fd)
    except IsADirectoryError:
        fd = os.open(name, DIRECTORY | os.O_NOFOLLOW, dir_fd=parent_fd)
        try:
            while _flatten(fd):
                pass
        finally:
            os.close(fd)
        os.rmdir(name, dir_fd=parent_fd)


def _flatten(top: int) -> bool:
    """One pass: remove files, move the contents of subdirectories up. False when the directory is empty."""
    directories = [entry for entry in _unlink_files(top) if not _try_rmdir(top, entry)]
    counter = 0
    taken = set(directories)
    for name in directories:
        fd = os.open(name, DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
        try:
            for child in _unlink_files(fd):
                if not _try_rmdir(fd, child):
                    while (new := f".{counter}") in taken:
                        counter += 1
                    os.rename(child, new, src_dir_fd=fd, dst_dir_fd=top)
                    counter += 1
        finally:
            os.close(fd)
        os.rmdir(name, dir_fd=top)
    return bool(directories)


def _unlink_files(fd: int) -> list[str]:
    """Remove what is not a directory; answer the directories."""
    directories = []
    with os.scandir(fd) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_directory in found:
        if is_directory:
            directories.append(name)
        else:
            os.unlink(name, dir_fd=fd)
    return directories


def _try_rmdir(fd: int, name: str) -> bool:
    try:
        os.rmdir(name, dir_fd=fd)
    except OSError:
        return False
    return True


def free_bytes(path: Path) -> int:
    """What a privileged writer can still put on the file system of `path`."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize


def is_directory(parent_fd: int, name: bytes) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=parent_fd, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False

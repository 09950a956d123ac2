"""Owner, mode, times and extended attributes of what a layer holds, set without following a link.

Kept: set-user-id bits, file capabilities, ACLs and the user's own xattrs. Left out: xattrs that overlayfs, SELinux or
IMA of this host would act on. An owner that means "no change" to the kernel is Corrupt.
"""

from __future__ import annotations

import errno
import os

from actors.plugins.image.faults import Corrupt
from actors.plugins.image.tar import Entry

_ID_MAX = 2**32 - 2
_TIME_MAX_NS = (2**34 - 1) * 10**9


def describe_file(file: int, entry: Entry) -> None:
    """Owner first (it clears the set-user-id bits and capabilities), times last."""
    os.fchown(file, *_owner(entry))
    os.fchmod(file, entry.mode)
    for key, value in _kept_xattrs(entry):
        _set_xattr(file, key, value)
    time_ns = clamp_time(entry.mtime_ns)
    os.utime(file, ns=(time_ns, time_ns))


def describe(fd: int, name: bytes, entry: Entry) -> None:
    """Owner, mode, xattrs and time of something that is not a regular file; no link is followed."""
    os.chown(name, *_owner(entry), dir_fd=fd, follow_symlinks=False)
    time_ns = clamp_time(entry.mtime_ns)
    if entry.kind != "l":
        os.chmod(name, entry.mode, dir_fd=fd)
    if entry.kind == "d" and entry.xattrs:
        directory = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
        try:
            for key, value in _kept_xattrs(entry):
                _set_xattr(directory, key, value)
        finally:
            os.close(directory)
    os.utime(name, ns=(time_ns, time_ns), dir_fd=fd, follow_symlinks=False)


def _owner(entry: Entry) -> tuple[int, int]:
    if not (0 <= entry.uid <= _ID_MAX and 0 <= entry.gid <= _ID_MAX):
        raise Corrupt(f"the layer's entry {os.fsdecode(entry.name)!r} has owner {entry.uid}:{entry.gid}: refused")
    return entry.uid, entry.gid


def clamp_time(mtime_ns: int) -> int:
    return max(-(2**31) * 10**9, min(mtime_ns, _TIME_MAX_NS))


def _kept_xattrs(entry: Entry) -> list[tuple[str, bytes]]:
    """File capabilities, ACLs and the user's own; not what overlayfs, SELinux or IMA of this host would act on."""
    return [
        (key, value)
        for key, value in entry.xattrs.items()
        if key in ("security.capability", "system.posix_acl_access", "system.posix_acl_default")
        or (key.startswith("user.") and not key.startswith("user.overlay."))
    ]


def _set_xattr(file: int, key: str, value: bytes) -> None:
    """A file system without this kind of xattr is no reason to refuse an image."""
    try:
        os.setxattr(file, key, value)
    except OSError as error:
        if error.errno not in (errno.ENOTSUP, errno.EINVAL, errno.ERANGE, errno.E2BIG):
            raise

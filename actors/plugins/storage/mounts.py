"""mount(2) and umount2(2) for memory-backed volumes, and which mounts there are below a directory."""

from __future__ import annotations

import ctypes
import errno
import os
import re
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_MS_NOSUID, _MS_NODEV = 0x2, 0x4
_MNT_DETACH, _UMOUNT_NOFOLLOW = 0x2, 0x8
_OCTAL = re.compile(rb"\\([0-7]{3})")


def mount_tmpfs(path: Path, options: str) -> None:
    """Mount an empty tmpfs that is never swapped out where the kernel can promise that (6.4). Not twice."""
    if is_mounted(path):
        return
    for candidate in (f"{options},noswap", options):
        if _LIBC.mount(b"tmpfs", os.fsencode(path), b"tmpfs", _MS_NOSUID | _MS_NODEV, candidate.encode()) == 0:
            return
    raise _error(path)


def is_mounted(path: Path) -> bool:
    """Whether the directory is a mount point of its own."""
    return path.stat().st_dev != path.parent.stat().st_dev


def unmount_below(path: Path) -> None:
    """Detach every mount at or below the directory, the innermost first."""
    for target in reversed(mounts_below(path)):
        if _LIBC.umount2(os.fsencode(target), _MNT_DETACH | _UMOUNT_NOFOLLOW) != 0:
            error = _error(Path(target))
            if error.errno not in (errno.EINVAL, errno.ENOENT):  # it is no mount point any more
                raise error


def mounts_below(path: Path) -> list[str]:
    """Mount points at or below the directory as /proc/self/mountinfo has them, in the order they were made."""
    wanted = os.fsencode(os.path.realpath(path))
    lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    targets = (_OCTAL.sub(lambda match: bytes([int(match[1], 8)]), line.split(b" ")[4]) for line in lines)
    return [os.fsdecode(target) for target in targets if target == wanted or target.startswith(wanted + b"/")]


def _error(path: Path) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number), str(path))

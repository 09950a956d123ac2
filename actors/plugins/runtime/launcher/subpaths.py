"""A part of a volume that containers write into: opened so that no link, swapped at any moment, leads out of it.

The kernel walks the path itself, beneath the volume's own descriptor (openat2, RESOLVE_BENEATH), and what it finds is
mounted by descriptor: between the check and the mount there is nothing to swap (CVE-2017-1002101, CVE-2021-25741).
Links that stay inside, such as those of a config map's files, are followed.
"""

from __future__ import annotations

import os
import stat

from actors.plugins.runtime.launcher import syscalls as sys

_BENEATH = sys.RESOLVE_BENEATH | sys.RESOLVE_NO_MAGICLINKS
_MODE = 0o2777


def open_sub_path(source: str, sub_path: str) -> int:
    """An O_PATH descriptor of what is there. Raises OSError: EXDEV where the path leads out."""
    volume = os.open(source, os.O_PATH | os.O_CLOEXEC)
    try:
        return sys.openat2(volume, sub_path, os.O_PATH, _BENEATH)
    finally:
        os.close(volume)


def make_sub_path(source: str, sub_path: str) -> None:
    """Make the directories that are missing, the last one with the volume's mode (as the kubelet's SafeMakeDir).

    Raises OSError as `open_sub_path` does, and EEXIST for a link that leads nowhere.
    """
    try:
        os.close(open_sub_path(source, sub_path))
    except FileNotFoundError:
        _make_directories(source, [part for part in sub_path.split("/") if part not in ("", ".")])


def _make_directories(source: str, parts: list[str]) -> None:
    """Each step is named from the volume on, so that a link may lead anywhere inside; what is made is no link."""
    volume = parent = os.open(source, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    mode = stat.S_IMODE(os.fstat(volume).st_mode) & _MODE
    opened = [volume]
    try:
        for count, name in enumerate(parts, 1):
            try:
                found = sys.openat2(volume, "/".join(parts[:count]), os.O_PATH | os.O_DIRECTORY, _BENEATH)
            except FileNotFoundError:
                os.mkdir(name, 0o755, dir_fd=parent)
                found = sys.openat2(parent, name, os.O_PATH | os.O_DIRECTORY, _BENEATH | sys.RESOLVE_NO_SYMLINKS)
                if count == len(parts):
                    os.chmod(f"/proc/self/fd/{found}", mode)
            opened.append(found)
            parent = found
    finally:
        for fd in opened:
            os.close(fd)

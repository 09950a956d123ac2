"""hostPath volumes: a path of the node's, checked or made as its `type` says (core/v1 HostPathType).

It is the user's: nothing but a missing directory or file is ever made, and nothing is removed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from actors.plugins.storage.faults import refused, unmet

_DIRECTORY_MODE, _FILE_MODE = 0o755, 0o644

_CHECKS: dict[str, tuple[Callable[[int], bool], str]] = {
    "Directory": (stat.S_ISDIR, "a directory"),
    "DirectoryOrCreate": (stat.S_ISDIR, "a directory"),
    "File": (stat.S_ISREG, "a file"),
    "FileOrCreate": (stat.S_ISREG, "a file"),
    "Socket": (stat.S_ISSOCK, "a UNIX socket"),
    "CharDevice": (stat.S_ISCHR, "a character device"),
    "BlockDevice": (stat.S_ISBLK, "a block device"),
}


def publish(source: dict[str, Any]) -> str:
    """The path, once it is what its type says. Without a type a missing path becomes a directory, as in containerd.

    Raises VolumeFault, OSError.
    """
    path, kind = Path(str(source.get("path") or "")), str(source.get("type") or "")
    if not path.is_absolute() or ".." in path.parts or "\0" in str(path):
        raise refused(f"hostPath.path {str(path)!r} must be absolute and without '..'")
    if kind and kind not in _CHECKS:
        raise refused(f"hostPath.type {kind!r} is unknown; it is one of {', '.join(_CHECKS)} or empty")
    if kind in ("", "DirectoryOrCreate") and not path.exists():
        _make_directories(path)
    elif kind == "FileOrCreate":
        _make_file(path)
    if kind:
        _check(path, kind)
    return str(path)


def _make_directories(path: Path) -> None:
    """Mode 0755 whatever the umask; directories that are there stay as they are."""
    for directory in (*reversed(path.parents), path):
        if not directory.is_dir():
            directory.mkdir(exist_ok=True)
            directory.chmod(_DIRECTORY_MODE)


def _make_file(path: Path) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
    except FileExistsError:
        return
    except FileNotFoundError as error:
        raise unmet(f"hostPath: the directory of {path} does not exist on this node: create it first") from error
    os.fchmod(fd, _FILE_MODE)
    os.close(fd)


def _check(path: Path, kind: str) -> None:
    matches, wanted = _CHECKS[kind]
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise unmet(f"hostPath: {path} must be {wanted} (type {kind}), but: {error.strerror}") from error
    if not matches(mode):
        raise unmet(f"hostPath: {path} on this node is not {wanted} (type {kind})")

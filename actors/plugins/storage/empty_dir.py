"""emptyDir volumes: a directory of the pod's, on the node's disk or (`medium: Memory`) on a tmpfs of `sizeLimit`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from actors.api.quantity import parse_bytes
from actors.plugins.storage.faults import refused
from actors.plugins.storage.mounts import mount_tmpfs

_MODE, _GROUP_MODE = 0o777, 0o2777


def publish(path: Path, source: dict[str, Any], fs_group: int) -> None:
    """Make it, once: what containers wrote stays, and so does what they made of owner and mode. Raises VolumeFault."""
    medium, size_bytes = str(source.get("medium") or ""), _size_limit(source)
    if medium == "Memory":
        _publish_in_memory(path, size_bytes, fs_group)
    elif medium == "":
        _publish_on_disk(path, fs_group)
    else:
        raise refused(f"emptyDir.medium {medium!r} is not supported: use Memory, or leave it out for the node's disk")


def _publish_in_memory(path: Path, size_bytes: int, fs_group: int) -> None:
    """Without a size limit the kernel's own: half of the memory."""
    options = f"mode={_GROUP_MODE:o},gid={fs_group}" if fs_group >= 0 else f"mode={_MODE:o}"
    path.mkdir(exist_ok=True)
    mount_tmpfs(path, f"{options},size={size_bytes}" if size_bytes else options)


def _publish_on_disk(path: Path, fs_group: int) -> None:
    """Renamed into place when its owner and mode are right: what is there is ready."""
    if path.is_dir():
        return
    new = path.with_name(f".{path.name}.new")
    new.mkdir(exist_ok=True)
    os.chown(new, -1, fs_group)
    new.chmod(_MODE if fs_group < 0 else _GROUP_MODE)
    new.rename(path)


def _size_limit(source: dict[str, Any]) -> int:
    limit = source.get("sizeLimit")
    if limit is None:
        return 0
    try:
        size_bytes = parse_bytes(limit)
    except ValueError as error:
        raise refused(f"emptyDir.sizeLimit: {error}") from error
    if size_bytes < 0:
        raise refused(f"emptyDir.sizeLimit {limit} is negative")
    return size_bytes

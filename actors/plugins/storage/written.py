"""Volumes of files that may change (configMap, secret, projected, downwardAPI), written as kubelet's AtomicWriter does.

    volume/..<version>/...    the files of one version
    volume/..data             -> ..<version>; replaced by rename, so a reader sees all files of one version
    volume/<name>             -> ..data/<name>, one per top-level name

Killed at any point, the next publish finds either version whole and removes the other's remains.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from actors.plugins.storage.names import check_paths
from actors.plugins.tree import remove_tree

Files = Mapping[str, tuple[bytes, int]]
Owners = Mapping[str, int]

_DATA, _NEXT = "..data", "..data_tmp"
_DIRECTORY_MODE = 0o755


def publish(path: Path, files: Files, fs_group: int, owners: Owners | None = None) -> None:
    """Bring the volume to these files; nothing is touched when it has them already. `owners`: the user ids of those
    that are not root's. Raises VolumeFault, OSError."""
    owners = owners or {}
    check_paths(files)
    path.mkdir(exist_ok=True)
    path.chmod(_DIRECTORY_MODE)
    current = _current(path)
    _remove_others(path, current)  # what an update left that was killed or found the disk full
    if current is None or not _has(current, files, fs_group, owners):
        current = _write_version(path, files, fs_group, owners)
        _point(path, _DATA, current.name)
    _link_names(path, {name.partition("/")[0] for name in files})
    _remove_others(path, current)


def _current(path: Path) -> Path | None:
    try:
        version = path / os.readlink(path / _DATA)
    except OSError:
        return None
    return version if version.parent == path and version.is_dir() else None


def _has(version: Path, files: Files, fs_group: int, owners: Owners) -> bool:
    """Whether a version holds exactly these files, with these modes and owners."""
    found = {str(Path(top, name).relative_to(version)) for top, _, names in os.walk(version) for name in names}
    return found == set(files) and all(
        (version / name).read_bytes() == content
        and _has_mode((version / name).stat(), mode, fs_group, owners.get(name, -1))
        for name, (content, mode) in files.items()
    )


def _has_mode(found: os.stat_result, mode: int, fs_group: int, owner: int) -> bool:
    if owner not in (-1, found.st_uid):
        return False
    return stat.S_IMODE(found.st_mode) == _file_mode(mode, fs_group) and fs_group in (-1, found.st_gid)


def _file_mode(mode: int, fs_group: int) -> int:
    """The group of the pod may read whatever the owner's mode says, as in kubelet."""
    return mode & 0o777 | (0o440 if fs_group >= 0 else 0)


def _write_version(path: Path, files: Files, fs_group: int, owners: Owners) -> Path:
    version = path / f"..{os.urandom(8).hex()}"
    _make_directory(version, fs_group)
    for name, (content, mode) in files.items():
        target = version / name
        for parent in reversed(target.relative_to(version).parents):
            _make_directory(version / parent, fs_group)
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            os.fchown(fd, owners.get(name, -1), fs_group)
            os.fchmod(fd, _file_mode(mode, fs_group))
    return version


def _make_directory(path: Path, fs_group: int) -> None:
    with contextlib.suppress(FileExistsError):
        path.mkdir()
        os.chown(path, -1, fs_group)
        path.chmod(_DIRECTORY_MODE | (stat.S_ISGID if fs_group >= 0 else 0))


def _point(path: Path, name: str, target: str) -> None:
    """Make or replace a symbolic link in one step."""
    following = path / _NEXT
    following.unlink(missing_ok=True)
    following.symlink_to(target)
    following.rename(path / name)


def _link_names(path: Path, names: set[str]) -> None:
    for name in sorted(names):
        target = f"{_DATA}/{name}"
        if not (path / name).is_symlink() or os.readlink(path / name) != target:
            _point(path, name, target)
    for entry in _own(path):
        if entry.is_symlink() and entry.name not in names | {_DATA}:
            entry.unlink()


def _remove_others(path: Path, version: Path | None) -> None:
    for entry in _own(path):
        if not entry.is_symlink() and entry != version:
            remove_tree(entry)


def _own(path: Path) -> Iterator[Path]:
    """What is in the volume: all of it is ours, for containers mount it read-only."""
    return iter(sorted(path.iterdir()))

"""Names that become paths of ours: a stranger's never leads out of the directory it is for. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from actors.plugins.storage.faults import refused

_NAME_LENGTH_MAX = 255
_PATH_LENGTH_MAX = 4096


def check_name(name: str, what: str) -> str:
    """One path component. Raises VolumeFault."""
    if not name or name in (".", "..") or "/" in name or "\0" in name or len(name.encode()) > _NAME_LENGTH_MAX:
        raise refused(f"{what} {name!r} cannot be the name of a directory")
    return name


def check_paths(paths: Iterable[str]) -> None:
    """Relative paths of files in one volume (kubelet's rules for AtomicWriter). Raises VolumeFault."""
    found = sorted(paths)
    for path in found:
        parts = path.split("/")
        if path.startswith("/"):
            raise refused(f"the path {path!r} is absolute: it must be relative to the volume")
        if ".." in parts or parts[0].startswith(".."):
            raise refused(f"the path {path!r} must not contain '..' nor begin with it")
        if len(path.encode()) > _PATH_LENGTH_MAX:
            raise refused(f"the path {path[:64]!r}... is longer than {_PATH_LENGTH_MAX} bytes")
        for part in parts:
            check_name(part, f"in the path {path!r}, the part")
    _check_no_file_is_directory(found)


def _check_no_file_is_directory(paths: list[str]) -> None:
    taken = set(paths)
    for path in paths:
        parts = path.split("/")
        above = next((p for p in ("/".join(parts[:end]) for end in range(1, len(parts))) if p in taken), None)
        if above is not None:
            raise refused(f"{above!r} cannot be a file and, for {path!r}, a directory")

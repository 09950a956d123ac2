"""Directories that a layer's tar uses without describing them: what they look like is what the layers below say.

Layers are unpacked apart from each other (so that images can share them), where such a directory gets a default mode
that would hide, say, the 1777 of the base image's /tmp. For the few images where it matters, one more layer on top
holds just these directories, as the layers below describe them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import msgspec

from actors.plugins.image.layer import ABOUT, FILES, Layer
from actors.plugins.image.unpack import OPAQUE_XATTR

_DEFAULT = (0o755, 0, 0, ())


class Stacked(msgspec.Struct, frozen=True):
    """A layer of one image: its files and the directories in it that its tar did not describe."""

    files: Path
    implicit: frozenset[str]


def plan_parents(layers: Sequence[Stacked]) -> dict[str, Path]:
    """The directories to repeat on top, parents first, with the one to take the metadata from. `layers`: top first."""
    wanted = {path for layer in layers for path in layer.implicit}
    wrong = {path: found for path in wanted if (found := _hidden_description(layers, path)) is not None}
    needed = {"", *wrong, *(above for path in wrong for above in _above(path))} if wrong else set()
    return {path: wrong.get(path) or _holder(layers, path) for path in sorted(needed)}


def parents_name(layers: Sequence[str]) -> str:
    """The extra layer's name: a function of the layers it is for."""
    return "parents:" + sha256("\n".join(layers).encode()).hexdigest()


def write_parents(into: Path, name: str, plan: dict[str, Path]) -> None:
    """Make the extra layer in the new directory `into`."""
    files = into / FILES
    files.mkdir(parents=True)
    for path, source in plan.items():
        (files / path).mkdir(exist_ok=True)
        _copy_metadata(source, files / path)
    (into / ABOUT).write_bytes(msgspec.json.encode(Layer(name, 0)))


def _hidden_description(layers: Sequence[Stacked], path: str) -> Path | None:
    """The directory that describes `path`, where one above that does not describe it hides another mode or owner."""
    holders = list(_visible(layers, path))
    if not holders or path not in holders[0].implicit:
        return None
    described = next((layer.files / path for layer in holders if path not in layer.implicit), None)
    return described if described is not None and _metadata(described) != _DEFAULT else None


def _holder(layers: Sequence[Stacked], path: str) -> Path:
    """Where the metadata of a directory that exists comes from."""
    holders = list(_visible(layers, path))
    described = (layer for layer in holders if path not in layer.implicit)
    return next(described, holders[0]).files / path


def _visible(layers: Sequence[Stacked], path: str) -> Iterator[Stacked]:
    """The layers whose directory `path` overlayfs merges, the top first."""
    for layer in layers:
        has, hides = _look(layer.files, path)
        if has:
            yield layer
        if hides:
            return


def _look(files: Path, path: str) -> tuple[bool, bool]:
    """Whether a layer has the directory, and whether it hides what is below (opaque, whiteout, not a directory)."""
    hides = False
    for part in (*_above(path), path):
        try:
            if not stat.S_ISDIR((files / part).lstat().st_mode):
                return False, True
        except FileNotFoundError:
            return False, hides
        hides = hides or OPAQUE_XATTR in os.listxattr(files / part)
    return True, hides


def _above(path: str) -> Iterable[str]:
    """`a/b/c` -> "", `a`, `a/b`."""
    parts = path.split("/")
    return ("/".join(parts[:end]) for end in range(len(parts))) if path else ()


def _metadata(path: Path) -> tuple[int, int, int, tuple[tuple[str, bytes], ...]]:
    found = path.lstat()
    return stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid, tuple(_xattrs(path))


def _xattrs(path: Path) -> Iterator[tuple[str, bytes]]:
    for key in sorted(os.listxattr(path)):
        if not key.startswith("trusted."):
            yield key, os.getxattr(path, key)


def _copy_metadata(source: Path, target: Path) -> None:
    found = source.lstat()
    os.chown(target, found.st_uid, found.st_gid)
    target.chmod(stat.S_IMODE(found.st_mode))
    for key, value in _xattrs(source):
        os.setxattr(target, key, value)
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))

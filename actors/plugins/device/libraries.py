"""The driver's user-space part, which must be the very version of the kernel module, hence the host's: files to mount.

As `nvidia-ctk cdi generate` does: every `*.so.<driver version>`, with the links the host has for it. In the container
they lie in a directory of their own, so that an image's older stub never hides them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from actors.plugins.device.port import DeviceMount

CONTAINER_DIR = "/usr/lib/raypod/nvidia"
STANDARD_DIRS = (
    "/usr/local/nvidia/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/lib/wsl/lib",
)
_BINARIES = ("nvidia-smi", "nvidia-debugdump", "nvidia-cuda-mps-control", "nvidia-cuda-mps-server")
#: Rendering needs more than libraries (an X server, ICD files): what only it uses is not mounted.
_GRAPHICS = (
    "libEGL_",
    "libGL",
    "libnvidia-egl",
    "libnvidia-fbc",
    "libnvidia-gl",
    "libnvidia-gtk",
    "libnvidia-tls",
    "libnvidia-vulkan",
    "libnvidia-wayland",
    "libvdpau_",
)
CAPABILITIES = "compute,utility,video"


class DriverFiles(msgspec.Struct, frozen=True, kw_only=True):
    """`symlinks`: (path in the container, target beside it)."""

    mounts: tuple[DeviceMount, ...] = ()
    symlinks: tuple[tuple[str, str], ...] = ()

    @property
    def has_cuda(self) -> bool:
        return any("/libcuda.so." in mount.container_path for mount in self.mounts)


def find_files(version: str, library_dirs: Iterable[str], binary_dirs: Iterable[str], root: Path) -> DriverFiles:
    """What a driver of this version left in these directories; the first directory that has a file wins."""
    libraries = _find_libraries(version, _under(root, library_dirs))
    mounts = [DeviceMount(str(path), f"{CONTAINER_DIR}/{name}") for name, path in sorted(libraries.items())]
    mounts += [DeviceMount(str(path), f"/usr/bin/{path.name}") for path in _find_binaries(_under(root, binary_dirs))]
    links = {link for path in libraries.values() for link in _links_to(path)}
    return DriverFiles(mounts=tuple(mounts), symlinks=tuple(sorted(links)))


def _under(root: Path, directories: Iterable[str]) -> list[Path]:
    return [root / directory.lstrip("/") for directory in directories]


def _find_libraries(version: str, directories: Iterable[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for directory in directories:
        for path in sorted(directory.glob(f"*.so.{version}")):
            if not path.name.startswith(_GRAPHICS) and path.is_file():
                found.setdefault(path.name, path.resolve())
    return found


def _links_to(library: Path) -> Iterable[tuple[str, str]]:
    """The chain of links beside a library: libcuda.so -> libcuda.so.1 -> libcuda.so.580.1."""
    stem = library.name.partition(".so.")[0]
    for entry in library.parent.glob(f"{stem}.so*"):
        if entry.is_symlink() and entry.resolve() == library:
            target = os.readlink(entry)
            yield f"{CONTAINER_DIR}/{entry.name}", target if "/" not in target else library.name


def _find_binaries(directories: Sequence[Path]) -> Iterable[Path]:
    for name in _BINARIES:
        for directory in directories:
            path = directory / name
            if path.is_file() and os.access(path, os.X_OK):
                yield path.resolve()
                break

"""Ending what is left of a node's containers without its launcher, for one that dies at each start. Needs root.

Everything is found by name: launchers by their settings, containers by the node's cgroups, mounts by the node's folder.
Only for a node whose nodelet is gone; a second call finds nothing.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from actors.plugins.runtime.launcher import syscalls
from actors.plugins.runtime.launcher.cgroups import read_layout
from actors.plugins.runtime.layout import Layout
from actors.plugins.runtime.spawn import derive_cgroup, format_settings

_SECONDS_MAX = 10.0
_PAUSE_SECONDS = 0.02


class Swept(msgspec.Struct, frozen=True):
    """What was there, and what resisted (in words)."""

    processes: int = 0
    mounts: int = 0
    cgroups: int = 0
    left: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"killed {self.processes} processes, removed {self.mounts} mounts and {self.cgroups} cgroups"


def sweep(root: Path) -> Swept:
    """`root`: the node's state directory. Its images, volumes and logs are others' business."""
    layout = Layout(str(root.resolve()))
    groups = [Path(point) / derive_cgroup(layout.root) for point in _mount_points()]
    killed, alive = _kill_all(layout.root, groups)
    mounts = _unmount_all(layout.root)
    removed = sum(_remove_groups(group) for group in groups)
    stuck = [*_mounts_under(layout.root), *(str(group) for group in groups if group.exists())]
    if not stuck:
        for path in (layout.run, layout.staging, layout.trash, f"{layout.root}/containers", f"{layout.root}/sandboxes"):
            shutil.rmtree(path, ignore_errors=True)
        Path(layout.socket).unlink(missing_ok=True)
    return Swept(killed, mounts, removed, (*(f"process {pid}" for pid in sorted(alive)), *stuck))


def has_remains(root: Path) -> bool:
    """Processes or cgroups of a launcher, or mounts."""
    place = str(root.resolve())
    groups = [Path(point) / derive_cgroup(place) for point in _mount_points()]
    return any(group.exists() for group in groups) or bool(_mounts_under(place)) or any(_find_launchers(place))


def _kill_all(root: str, groups: list[Path]) -> tuple[int, set[int]]:
    """How many were killed, and who lives yet. Launchers first, for each starts the others again; all until none is
    found, for who forks may be faster than we are.
    """
    seen: set[int] = set()
    deadline = time.monotonic() + _SECONDS_MAX
    while True:
        found = {*_find_launchers(root), *(pid for group in groups for pid in _processes_in(group))}
        if not found or time.monotonic() > deadline:
            return len(seen - found), found
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for group in groups:
            _thaw(group)
        seen |= found
        time.sleep(_PAUSE_SECONDS)


def _find_launchers(root: str) -> Iterator[int]:
    settings = format_settings(root).encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if settings in (entry / "cmdline").read_bytes().split(b"\0"):
                    yield int(entry.name)


def _processes_in(group: Path) -> Iterator[int]:
    for path in group.glob("**/cgroup.procs"):
        with contextlib.suppress(OSError):
            yield from (int(pid) for pid in path.read_text().split() if int(pid) not in (0, os.getpid()))


def _thaw(group: Path) -> None:
    """A frozen process of cgroup v1 does not die."""
    for path in group.glob("**/freezer.state"):
        with contextlib.suppress(OSError):
            path.write_text("THAWED")


def _remove_groups(group: Path) -> int:
    """Deepest first; the kernel needs a moment to let go of processes that have just died."""
    removed = 0
    for path in sorted((place for place in (group, *group.glob("**/")) if place.is_dir()), reverse=True):
        for _ in range(50):
            with contextlib.suppress(OSError):
                path.rmdir()
            if not path.exists():
                removed += 1
                break
            time.sleep(_PAUSE_SECONDS)
    return removed


def _unmount_all(root: str) -> int:
    """The last mounted first, detached: a process that is just dying may be in it."""
    before = _mounts_under(root)
    for mount in reversed(before):
        with contextlib.suppress(OSError):
            syscalls.umount2(mount, syscalls.MNT_DETACH)
    return len(before) - len(_mounts_under(root))


def _mounts_under(root: str) -> list[str]:
    fields = (line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines())
    mounts = (field.replace("\\040", " ") for field in fields)
    return [mount for mount in mounts if mount.startswith(f"{root}/")]


def _mount_points() -> list[str]:
    """Of every hierarchy that a launcher or a container may have a group in."""
    layout = read_layout()
    return list(dict.fromkeys(filter(None, (*layout.mount_points(), layout.systemd))))

"""A container's groups in the v1 hierarchies: one directory in each, limits in files, joined by writing a pid.

Moving a process costs 10-14 ms of waiting for RCU on a quiet machine unless some hierarchy is mounted with
`favordynmods`: the supervisor holds such a mount, attached nowhere.
"""

from __future__ import annotations

import errno
import os

from actors.plugins.runtime.launcher import cgroup_values, mounts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from actors.plugins.runtime.launcher.cgroup_layout import Layout
    from actors.plugins.runtime.launcher.plan import Resources


def hold_favordynmods() -> int:
    """A descriptor that keeps joins fast while it is open; -1 on kernels without the option (before 6.0)."""
    try:
        return mounts.new_filesystem("cgroup", [("none", None), ("name", "raypod"), ("favordynmods", None)])
    except OSError:
        return -1


def write_limits(layout: Layout, group: str, resources: Resources) -> None:
    for controller, name, value, required in cgroup_values.derive_v1_values(resources):
        path = f"{layout.v1[controller]}/{group}/{name}"
        try:
            write_file(path, value)
        except FileNotFoundError:
            if required:
                raise


def change_limits(layout: Layout, group: str, resources: Resources) -> None:
    """Memory alone may not be more than memory and swap together: whichever way it goes, one of two orders is right."""
    *others, memory, both = cgroup_values.derive_v1_changes(resources)
    for value in others:
        _change(layout, group, value)
    for first, second in ((memory, both), (both, memory)):
        try:
            _change(layout, group, first)
        except OSError as error:
            if first is both or error.errno != errno.EINVAL:
                raise
            continue
        _change(layout, group, second)
        return


def _change(layout: Layout, group: str, value: cgroup_values.Value) -> None:
    controller, name, text, required = value
    try:
        write_file(f"{layout.v1[controller]}/{group}/{name}", text)
    except FileNotFoundError:
        if required:
            raise


def read_memory_usage(layout: Layout, group: str) -> int:
    """Without the file pages that the kernel takes back before anything else. 0 where nobody counts."""
    folder = f"{layout.v1['memory']}/{group}"
    held = read_file(f"{folder}/memory.usage_in_bytes")
    inactive = cgroup_values.parse_entry(read_file(f"{folder}/memory.stat"), "total_inactive_file")
    return max(int(held) - inactive, 0) if held else 0


def open_joins(layout: Layout, group: str) -> list[int]:
    """Descriptors to write b"0" to, one a hierarchy. The unified one is joined at clone."""
    points = [path for path in layout.mount_points() if path != layout.unified]
    return [os.open(f"{path}/{group}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC) for path in points]


def read_oom_kills(layout: Layout, group: str) -> int:
    return cgroup_values.parse_oom_kills(read_file(f"{layout.v1['memory']}/{group}/memory.oom_control"))


def write_file(path: str, *values: str) -> None:
    """Each value is a write of its own, as cgroup files want it."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        for value in values:
            os.write(fd, value.encode())
    except OSError as error:
        raise OSError(error.errno, f"writing {', '.join(values)!r} to {path}: {error.strerror}") from error
    finally:
        os.close(fd)


def read_file(path: str) -> str:
    """b"" when the group is gone."""
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except OSError:
        return ""

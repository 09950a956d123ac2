"""A container's group in the unified hierarchy: entered at clone, killed by one write, limits in files on pure v2."""

from __future__ import annotations

import errno
import os

from actors.plugins.runtime.launcher import cgroup_values
from actors.plugins.runtime.launcher.cgroup_layout import V2_CONTROLLERS
from actors.plugins.runtime.launcher.cgroup_v1 import read_file, write_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from actors.plugins.runtime.launcher.cgroup_layout import Layout
    from actors.plugins.runtime.launcher.plan import Resources


def delegate(layout: Layout, group: str) -> None:
    """Enable our controllers, as far as this host has them, from the root down to `group`: its children use them."""
    path = layout.unified
    for part in ("", *group.split("/")):
        path = f"{path}/{part}" if part else path
        offered = read_file(f"{path}/cgroup.controllers").split()
        wanted = " ".join(f"+{name}" for name in V2_CONTROLLERS if name in offered)
        if not wanted:
            continue
        try:
            write_file(f"{path}/cgroup.subtree_control", wanted)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            _move_all_down(path)
            write_file(f"{path}/cgroup.subtree_control", wanted)


def _move_all_down(path: str) -> None:
    """In a container's own cgroup namespace the top group holds processes: give them a leaf, as dockerd does."""
    leaf = f"{path}/raypod-init"
    os.makedirs(leaf, exist_ok=True)
    for pid in read_file(f"{path}/cgroup.procs").split():
        try:
            write_file(f"{leaf}/cgroup.procs", pid)
        except OSError:
            continue  # it has exited, or it is a kernel thread


def write_limits(layout: Layout, group: str, resources: Resources) -> None:
    for controller, name, value, required in cgroup_values.derive_v2_values(resources):
        try:
            write_file(f"{layout.unified}/{group}/{name}", value)
        except FileNotFoundError as error:
            if required:
                words = f"this host's cgroups have no controller {controller!r}: {name} cannot be set"
                raise OSError(errno.EOPNOTSUPP, words) from error


def change_limits(layout: Layout, group: str, resources: Resources) -> None:
    for controller, name, value, required in cgroup_values.derive_v2_changes(resources):
        try:
            write_file(f"{layout.unified}/{group}/{name}", value)
        except FileNotFoundError as error:
            if required:
                words = f"this host's cgroups have no controller {controller!r}: {name} cannot be set"
                raise OSError(errno.EOPNOTSUPP, words) from error


def read_memory_usage(layout: Layout, group: str) -> int:
    """See `cgroup_v1`. What is below a limit that comes would be killed, not refused."""
    folder = f"{layout.unified}/{group}"
    held = read_file(f"{folder}/memory.current")
    inactive = cgroup_values.parse_entry(read_file(f"{folder}/memory.stat"), "inactive_file")
    return max(int(held) - inactive, 0) if held else 0


def read_oom_kills(layout: Layout, group: str) -> int:
    return cgroup_values.parse_oom_kills(read_file(f"{layout.unified}/{group}/memory.events"))


def kill(layout: Layout, group: str) -> bool:
    """SIGKILL everything in the group at once. False on kernels without cgroup.kill (before 5.14)."""
    try:
        write_file(f"{layout.unified}/{group}/cgroup.kill", "1")
    except FileNotFoundError:
        return not os.path.isdir(f"{layout.unified}/{group}")
    return True

"""A container's cgroups, whichever version the host has: make, limit, join, kill, remove.

All groups are `<base>/<container id>`, flat, so that CPU shares of containers compare with each other directly.
"""

from __future__ import annotations

import errno
import os
import signal
import time

from actors.plugins.runtime.launcher import cgroup_v1, cgroup_v2, device_filter
from actors.plugins.runtime.launcher.cgroup_layout import Layout, parse_layout
from actors.plugins.runtime.launcher.state import make_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from actors.plugins.runtime.launcher.plan import Plan, Resources

_OWN = "launcher"
_REMOVE_ATTEMPTS, _REMOVE_PAUSE_S = 20, 0.001


def read_layout() -> Layout:
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return parse_layout(file.read())


class Cgroups:
    def __init__(self, layout: Layout, base: str) -> None:
        self.layout, self.base = layout, base.strip("/")

    def prepare(self) -> None:
        """The base group everywhere, with a share of the CPU for each core that the node has."""
        for point in self.layout.mount_points():
            os.makedirs(f"{point}/{self.base}", exist_ok=True)
        shares = (os.cpu_count() or 1) * 1024
        if self.layout.pure_v2:
            cgroup_v2.delegate(self.layout, self.base)
            weight = min(10_000, 100 * (os.cpu_count() or 1))
            _try_write(f"{self.layout.unified}/{self.base}/cpu.weight", str(weight))
        else:
            cgroup_v1.write_file(f"{self.layout.v1['cpu']}/{self.base}/cpu.shares", str(min(262_144, shares)))

    def adopt_launcher(self) -> None:
        """Leave the caller's groups: stopping the unit that Ray runs in must stop neither us nor a container."""
        for point in (self.layout.unified, self.layout.systemd):
            if point:
                os.makedirs(f"{point}/{self.base}/{_OWN}", exist_ok=True)
                cgroup_v1.write_file(f"{point}/{self.base}/{_OWN}/cgroup.procs", "0")

    def dismiss_launcher(self) -> None:
        """The last one out: go back to the top and remove the base groups."""
        for point in filter(None, {*self.layout.mount_points(), self.layout.systemd}):
            try:
                cgroup_v1.write_file(f"{point}/cgroup.procs", "0")
            except OSError:
                continue
            for path in (f"{point}/{self.base}/{_OWN}", f"{point}/{self.base}"):
                _try_remove(path)

    def create(self, name: str, plan: Plan) -> None:
        """Repeating it changes nothing."""
        for point in self.layout.mount_points():
            make_directory(f"{point}/{self.base}/{name}", 0o755)
        group = f"{self.base}/{name}"
        self._write_limits(group, plan["resources"])
        if not plan["privileged"]:
            device_filter.apply_filter(self.layout, group, plan["device_rules"])

    def _write_limits(self, group: str, resources: Resources) -> None:
        write = cgroup_v2.write_limits if self.layout.pure_v2 else cgroup_v1.write_limits
        write(self.layout, group, resources)

    def change_limits(self, name: str, resources: Resources) -> None:
        """Of a container that runs. Raises OSError: EBUSY for a memory limit that is less than what it holds."""
        group, limit = f"{self.base}/{name}", resources["memory_limit_bytes"]
        version = cgroup_v2 if self.layout.pure_v2 else cgroup_v1
        held = version.read_memory_usage(self.layout, group)
        if limit and held > limit:
            raise OSError(errno.EBUSY, f"attempting to set memory limit ({limit}) below current usage ({held})")
        version.change_limits(self.layout, group, resources)

    def open_unified(self, name: str) -> int:
        """For CLONE_INTO_CGROUP; -1 on pure v1."""
        if not self.layout.unified:
            return -1
        path = f"{self.layout.unified}/{self.base}/{name}"
        return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def open_joins(self, name: str) -> list[int]:
        return cgroup_v1.open_joins(self.layout, f"{self.base}/{name}")

    def view(self, name: str) -> list[tuple[str, str]]:
        """What a container sees under /sys/fs/cgroup: (directory, the host's path of its group). v2: ("", "")."""
        if self.layout.pure_v2:
            return [("", "")]
        points = {names: point for point, names in self.layout.names.items()}
        if self.layout.unified:
            points["unified"] = self.layout.unified
        return [(directory, f"{point}/{self.base}/{name}") for directory, point in points.items()]

    def kill(self, name: str) -> None:
        group = f"{self.base}/{name}"
        if not (self.layout.unified and cgroup_v2.kill(self.layout, group)):
            self._kill_one_by_one(group)

    def _kill_one_by_one(self, group: str) -> None:
        """v1: freeze, so that nothing forks on, then signal each."""
        point = self.layout.freezer or self.layout.mount_points()[0]
        freezer = f"{point}/{group}/freezer.state"
        _try_write(freezer, "FROZEN")
        for pid in cgroup_v1.read_file(f"{point}/{group}/cgroup.procs").split():
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                continue
        _try_write(freezer, "THAWED")

    def processes(self, name: str) -> list[int]:
        point = self.layout.unified or self.layout.mount_points()[0]
        return [int(pid) for pid in cgroup_v1.read_file(f"{point}/{self.base}/{name}/cgroup.procs").split()]

    def oom_kills(self, name: str) -> int:
        group = f"{self.base}/{name}"
        read = cgroup_v2.read_oom_kills if self.layout.pure_v2 else cgroup_v1.read_oom_kills
        return read(self.layout, group)

    def remove(self, name: str) -> None:
        """Waits a moment for the kernel to let go of processes that have just exited."""
        for point in self.layout.mount_points():
            path = f"{point}/{self.base}/{name}"
            for _ in range(_REMOVE_ATTEMPTS):
                if _try_remove(path):
                    break
                time.sleep(_REMOVE_PAUSE_S)


def _try_remove(path: str) -> bool:
    """True when it is gone. A container may have made groups of its own below."""
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError:
        for entry in os.scandir(path):
            if entry.is_dir(follow_symlinks=False):
                _try_remove(entry.path)
        return False
    return True


def _try_write(path: str, value: str) -> None:
    try:
        cgroup_v1.write_file(path, value)
    except OSError:
        return

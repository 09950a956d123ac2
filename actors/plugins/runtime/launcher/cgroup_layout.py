"""Where this host's cgroup hierarchies are: read from mountinfo. Pure.

Pure v2 has `unified` and no v1 controllers. Hybrid has v1 controllers, and a unified hierarchy that serves to start
in, to kill at once and to ask whether anybody is left; there the v1 files carry the limits.
"""

from __future__ import annotations

#: The v1 controllers a container gets a group of its own in. Others it shares with the launcher.
V1_CONTROLLERS = ("cpu", "memory", "pids", "devices")
V2_CONTROLLERS = ("cpu", "memory", "pids")


class Layout:
    """`v1`: controller -> mount point. `unified`: the v2 mount point or "". `freezer`: v1's, where there is no v2."""

    __slots__ = ("freezer", "names", "systemd", "unified", "v1")

    def __init__(self) -> None:
        self.v1: dict[str, str] = {}
        #: v1 mount point -> all controllers mounted there, comma separated.
        self.names: dict[str, str] = {}
        self.unified = self.freezer = self.systemd = ""

    @property
    def pure_v2(self) -> bool:
        return not self.v1

    def mount_points(self) -> list[str]:
        """Each hierarchy a container has a group in, once: several controllers may share one."""
        found = list(dict.fromkeys(self.v1.values()))
        return found + [path for path in (self.freezer if not self.unified else "", self.unified) if path]


def parse_layout(mountinfo: str) -> Layout:
    """Raises ValueError when neither v2 nor the v1 controllers that we need are mounted."""
    layout = Layout()
    for line in mountinfo.splitlines():
        mount, _, source = line.partition(" - ")
        path = mount.split()[4].replace("\\040", " ")
        kind, _, options = source.split(" ", 2)
        if kind == "cgroup2" and not layout.unified:
            layout.unified = path
        elif kind == "cgroup":
            _add_v1(layout, path, options.split(","))
    missing = [name for name in V1_CONTROLLERS if name not in layout.v1]
    if len(missing) == len(V1_CONTROLLERS) and layout.unified:
        layout.v1, layout.names = {}, {}
    elif missing:
        raise ValueError(f"no cgroup hierarchy is mounted for {', '.join(missing)}: mount cgroup2 at /sys/fs/cgroup")
    return layout


def _add_v1(layout: Layout, path: str, options: list[str]) -> None:
    for name in V1_CONTROLLERS:
        if name in options and name not in layout.v1:
            layout.v1[name] = path
            layout.names[path] = ",".join(option for option in options if option in _KNOWN)
    if "freezer" in options:
        layout.freezer = path
    if "name=systemd" in options:
        layout.systemd = path


_KNOWN = frozenset(
    [
        "blkio",
        "cpu",
        "cpuacct",
        "cpuset",
        "devices",
        "freezer",
        "hugetlb",
        "memory",
        "misc",
        "net_cls",
        "net_prio",
        "perf_event",
        "pids",
        "rdma",
    ]
)

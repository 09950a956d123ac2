"""A container's /proc and /sys: fresh mounts, then masked and read-only parts, each reached from the mount's own
descriptor and never through the image (CVE-2019-19921, CVE-2023-28642, CVE-2025-31133, CVE-2025-52565).
"""

from __future__ import annotations

import os
import stat

from actors.plugins.runtime.launcher import mounts, rootfs
from actors.plugins.runtime.launcher import syscalls as sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from actors.plugins.runtime.launcher.plan import Plan

_SAFE = mounts.NOSUID | mounts.NODEV | mounts.NOEXEC
_STRICT = sys.RESOLVE_BENEATH | sys.RESOLVE_NO_SYMLINKS | sys.RESOLVE_NO_MAGICLINKS


def attach_proc(root_fd: int) -> int:
    """procfs of the current PID namespace at /proc."""
    proc = mounts.new_filesystem("proc", [], _SAFE)
    mounts.attach(proc, rootfs.open_own_directory(root_fd, "proc"))
    return proc


def attach_sys(root_fd: int, hierarchies: list[tuple[str, str]], *, writable: bool) -> int:
    """sysfs of the current network namespace at /sys, and this container's view of its cgroups under it.

    `hierarchies`: ("", "") alone for a new cgroup2 mount, or (directory name, the group's path) for each of v1.
    """
    read_only = 0 if writable else mounts.RDONLY
    sysfs = mounts.new_filesystem("sysfs", [], _SAFE | read_only)
    mounts.attach(sysfs, rootfs.open_own_directory(root_fd, "sys"))
    target = sys.openat2(sysfs, "fs/cgroup", os.O_PATH | os.O_DIRECTORY, _STRICT)
    if hierarchies == [("", "")]:
        mounts.attach(mounts.new_filesystem("cgroup2", [], _SAFE | read_only), target)
        return sysfs
    tmpfs = mounts.new_filesystem("tmpfs", [("mode", "755"), ("size", "1m")], _SAFE)
    for name, _ in hierarchies:
        os.mkdir(name, 0o555, dir_fd=tmpfs)
    mounts.attach(tmpfs, target)
    for name, group in hierarchies:
        clone = mounts.clone_tree(group, recursive=False)
        mounts.set_attributes(clone, _SAFE | read_only)
        mounts.attach(clone, rootfs.open_path(tmpfs, name))
    mounts.set_attributes(tmpfs, mounts.RDONLY)
    return sysfs


def cover_paths(proc: int, sysfs: int, null_fd: int, plan: Plan) -> None:
    """Mask files with /dev/null and directories with an empty read-only tmpfs; make the read-only paths so."""
    roots = {"proc": proc, "sys": sysfs}
    empty = -1
    for path in plan["masked"]:
        target = _open_below(roots, path)
        if target < 0:
            continue
        if stat.S_ISDIR(os.fstat(target).st_mode):
            if empty < 0:
                empty = mounts.new_filesystem("tmpfs", [("nr_blocks", "1"), ("nr_inodes", "1")], _SAFE | mounts.RDONLY)
                mounts.attach(empty, target)
                continue
            mounts.attach(mounts.clone_tree("", empty, recursive=False), target)
        else:
            mounts.attach(mounts.clone_tree("", null_fd, recursive=False), target)
    for path in plan["read_only_paths"]:
        target = _open_below(roots, path)
        if target >= 0:
            clone = mounts.clone_tree("", target, recursive=True)
            mounts.set_attributes(clone, mounts.RDONLY | _SAFE, recursive=True)
            mounts.attach(clone, target)


def open_null() -> int:
    """The host's /dev/null, checked to be it: what masks a file must not be the image's (CVE-2025-31133)."""
    fd = os.open("/dev/null", os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    found = os.fstat(fd)
    if not stat.S_ISCHR(found.st_mode) or found.st_rdev != os.makedev(1, 3):
        raise OSError("the host's /dev/null is not the null device")
    return fd


def _open_below(roots: dict[str, int], path: str) -> int:
    """-1 when this kernel has no such path."""
    _, top, rest = path.split("/", 2)
    try:
        return sys.openat2(roots[top], rest, os.O_PATH, _STRICT)
    except (FileNotFoundError, NotADirectoryError):
        return -1

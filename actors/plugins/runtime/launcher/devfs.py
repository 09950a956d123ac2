"""A container's /dev: a tmpfs of its own, filled before it is attached, so that nothing of the image's is followed.

The image's /dev is never looked into; a symbolic link in its place is refused (CVE-2025-31133, CVE-2026-41579).
"""

from __future__ import annotations

import os
import stat

from actors.plugins.runtime.launcher import mounts, rootfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from actors.plugins.runtime.launcher.plan import Plan

#: (name, major, minor) of the nodes every container has.
STANDARD_NODES = (("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0))
_LINKS = (
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
)
_DEVPTS = [("newinstance", None), ("ptmxmode", "0666"), ("mode", "0620"), ("gid", "5")]


def attach_dev(root_fd: int, plan: Plan) -> int:
    """Make /dev and what is under it. The answer refers to the tmpfs and is the caller's to close."""
    dev = mounts.new_filesystem("tmpfs", [("mode", "755"), ("size", "65536k")], mounts.NOSUID)
    umask = os.umask(0)
    for name, major, minor in STANDARD_NODES:
        os.mknod(name, stat.S_IFCHR | 0o666, os.makedev(major, minor), dir_fd=dev)
    for name, target in _LINKS:
        os.symlink(target, name, dir_fd=dev)
    for name, mode in (("pts", 0o755), ("shm", 0o1777), ("mqueue", 0o1777)):
        os.mkdir(name, mode, dir_fd=dev)
    make_nodes(
        dev, [(path[5:], kind, major, minor) for path, kind, major, minor in plan["nodes"] if path.startswith("/dev/")]
    )
    os.umask(umask)
    mounts.attach(dev, rootfs.open_own_directory(root_fd, "dev"))
    pts = mounts.new_filesystem("devpts", list(_DEVPTS), mounts.NOSUID | mounts.NOEXEC)
    mounts.attach(pts, rootfs.open_path(dev, "pts"))
    mqueue = mounts.new_filesystem("mqueue", [], mounts.NOSUID | mounts.NODEV | mounts.NOEXEC)
    mounts.attach(mqueue, rootfs.open_path(dev, "mqueue"))
    return dev


def make_nodes(directory_fd: int, nodes: Sequence[tuple[str, str, int, int]]) -> None:
    """Device nodes by path below a directory; one that is there already stays."""
    for path, kind, major, minor in nodes:
        parent, _, name = path.rpartition("/")
        parent_fd = rootfs.make_directory(directory_fd, parent or "/")
        mode = (stat.S_IFBLK if kind == "b" else stat.S_IFCHR) | 0o666
        try:
            os.mknod(name, mode, os.makedev(major, minor), dir_fd=parent_fd)
        except FileExistsError:
            pass
        finally:
            os.close(parent_fd)

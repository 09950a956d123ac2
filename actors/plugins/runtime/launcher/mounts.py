"""Mounts as file descriptors: made detached, attached to descriptors, never addressed by a container's paths."""

from __future__ import annotations

import os

from actors.plugins.runtime.launcher import syscalls as sys

RDONLY, NOSUID, NODEV, NOEXEC, RELATIME = 1, 2, 4, 8, 0
_PRIVATE, SLAVE = 1 << 18, 1 << 19
#: fsconfig's strings end at 256 bytes, so layers are named by descriptor; older kernels take one string for all.
_OPTION_BYTES_MAX = 255


def new_filesystem(kind: str, options: list[tuple[str, str | None]], attributes: int = 0) -> int:
    """A detached mount of a new file system. The error carries the kernel's own words."""
    fs = sys.fsopen(kind)
    try:
        for key, value in options:
            command = sys.FSCONFIG_SET_FLAG if value is None else sys.FSCONFIG_SET_STRING
            sys.fsconfig(fs, command, key, value)
        sys.fsconfig(fs, sys.FSCONFIG_CMD_CREATE)
        return sys.fsmount(fs, attributes)
    except OSError as error:
        raise OSError(error.errno, f"mounting {kind}: {_kernel_words(fs) or error.strerror}") from error
    finally:
        os.close(fs)


def _kernel_words(fs: int) -> str:
    """The messages a file system context has collected, oldest first."""
    words: list[str] = []
    try:
        while len(words) < 8:
            words.append(os.read(fs, 512).decode(errors="replace").strip()[2:])
    except OSError:
        pass
    return "; ".join(words)


def open_overlay(layers: list[str], upper: str, work: str) -> int:
    """A detached overlay over `layers` (the topmost first). `volatile`: unmounting writes nothing to disk."""
    fds = [os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for path in (upper, work, *layers)]
    try:
        names = [f"/proc/self/fd/{fd}" for fd in fds]
        rest: list[tuple[str, str | None]] = [("upperdir", names[0]), ("workdir", names[1]), ("volatile", None)]
        try:
            return new_filesystem("overlay", [*(("lowerdir+", name) for name in names[2:]), *rest])
        except OSError as error:
            if "lowerdir+" not in str(error):
                raise
            joined = ":".join(names[2:])
            if len(joined) <= _OPTION_BYTES_MAX:
                return new_filesystem("overlay", [("lowerdir", joined), *rest])
            return _mount_overlay_by_path(joined, names[0], names[1], os.path.dirname(upper))
    finally:
        for fd in fds:
            os.close(fd)


def _mount_overlay_by_path(lower: str, upper: str, work: str, directory: str) -> int:
    """For kernels before 6.5 and many layers: mount at a directory of ours for a moment, keep a detached clone."""
    staging = os.path.join(directory, "mount")
    os.makedirs(staging, exist_ok=True)
    sys.mount("overlay", staging, "overlay", 0, f"lowerdir={lower},upperdir={upper},workdir={work},volatile")
    try:
        return clone_tree(staging, recursive=False)
    finally:
        sys.umount2(staging, sys.MNT_DETACH)


def clone_tree(path: str, dir_fd: int = sys.AT_FDCWD, *, recursive: bool = True) -> int:
    """A detached bind mount of what is at `path`; with path "" of what `dir_fd` refers to."""
    flags = sys.OPEN_TREE_CLONE | (sys.AT_RECURSIVE if recursive else 0) | (0 if path else sys.AT_EMPTY_PATH)
    return sys.open_tree(dir_fd, path, flags)


def set_attributes(mount_fd: int, set_: int, *, recursive: bool = False) -> None:
    sys.mount_setattr(mount_fd, "", sys.AT_EMPTY_PATH | (sys.AT_RECURSIVE if recursive else 0), set_)


def set_propagation(mount_fd: int, kind: int) -> None:
    sys.mount_setattr(mount_fd, "", sys.AT_EMPTY_PATH | sys.AT_RECURSIVE, propagation=kind)


def make_private() -> None:
    """Cut this mount namespace off: nothing mounted here reaches the host."""
    sys.mount_setattr(sys.AT_FDCWD, "/", sys.AT_RECURSIVE, propagation=_PRIVATE)


def attach(mount_fd: int, target_fd: int) -> None:
    """Mount over the object that `target_fd` refers to, and let go of both descriptors' targets by path for good."""
    sys.move_mount(mount_fd, target_fd)


def enter(root_fd: int) -> None:
    """Make the attached mount `root_fd` the root of this mount namespace and drop everything else."""
    os.fchdir(root_fd)
    sys.pivot_root(".", ".")
    sys.umount2(".", sys.MNT_DETACH)
    os.chdir("/")

"""A sandbox's Linux namespaces: made once, kept alive by bind mounts of their files, with no process inside.

The launcher enters them itself for a moment. If it cannot come back it exits, and the supervisor starts another.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct

from actors.plugins.runtime.launcher import mounts
from actors.plugins.runtime.launcher import syscalls as sys
from actors.plugins.runtime.launcher.state import make_directory

KINDS = {"net": sys.CLONE_NEWNET, "ipc": sys.CLONE_NEWIPC, "uts": sys.CLONE_NEWUTS}
_MS_BIND = 0x1000
_SIOCSIFFLAGS, _IFF_UP_RUNNING = 0x8914, 0x41
_SHM_BYTES_MAX = 64 << 20


def make_namespaces(directory: str, kinds: list[str], hostname: str, sysctls: dict[str, str] | None = None) -> None:
    """Files `net`, `ipc`, `uts` in `directory`, of those asked for. What is there already stays. `sysctls` by path."""
    make_directory(directory)
    missing = [kind for kind in kinds if not is_mounted(f"{directory}/{kind}")]
    if not missing:
        return
    ways_back = [(os.open(f"/proc/self/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC), KINDS[kind]) for kind in missing]
    try:
        sys.unshare(sum(KINDS[kind] for kind in missing))
        if "uts" in missing and hostname:
            socket.sethostname(hostname)
        if "net" in missing:
            _raise_loopback()
        for path, value in (sysctls or {}).items():
            _write_sysctl(path, value)
        for kind in missing:
            path = f"{directory}/{kind}"
            os.close(os.open(path, os.O_CREAT | os.O_CLOEXEC, 0o600))
            sys.mount(f"/proc/self/ns/{kind}", path, "", _MS_BIND, "")
    finally:
        leave(ways_back)


def _write_sysctl(path: str, value: str) -> None:
    """/proc/sys shows each process the parameters of the namespaces it is in."""
    if ".." in path.split("/"):
        raise OSError(errno.EINVAL, f"sysctl {path!r} has an impossible name")
    try:
        with open(f"/proc/sys/{path}", "w", encoding="utf-8") as file:
            file.write(value)
    except OSError as error:
        raise OSError(error.errno, f"sysctl {path} = {value!r}: {error.strerror}") from error


def enter_pid(pidfd: int) -> list[tuple[int, int]]:
    """For the next children, until `leave`."""
    way_back = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    try:
        sys.setns(pidfd, sys.CLONE_NEWPID)
    except BaseException:
        os.close(way_back)
        raise
    return [(way_back, sys.CLONE_NEWPID)]


def leave(ways_back: list[tuple[int, int]]) -> None:
    """Back to where we were, or the end of this process."""
    try:
        for fd, flag in ways_back:
            sys.setns(fd, flag)
            os.close(fd)
    except OSError:
        os._exit(70)


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP_RUNNING))


def make_memory(path: str) -> None:
    """A tmpfs of the sandbox's own, with its /dev/shm. Its files in /etc go here too: what a container writes into
    them fills nobody else's memory.
    """
    mount_tmpfs(path, _SHM_BYTES_MAX)
    make_directory(f"{path}/shm")
    os.chmod(f"{path}/shm", 0o1777)


def mount_tmpfs(path: str, size_bytes_max: int) -> None:
    """Where something is mounted already, it stays."""
    make_directory(path)
    if is_mounted(path):
        return
    options: list[tuple[str, str | None]] = [("mode", "0755"), ("size", str(size_bytes_max))]
    tmpfs = mounts.new_filesystem("tmpfs", options, mounts.NOSUID | mounts.NODEV | mounts.NOEXEC)
    target = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    mounts.attach(tmpfs, target)
    os.close(tmpfs)
    os.close(target)


def is_mounted(path: str) -> bool:
    try:
        return os.stat(path).st_dev != os.stat(os.path.dirname(path)).st_dev
    except FileNotFoundError:
        return False


def unmount(path: str) -> None:
    """A second call does nothing."""
    try:
        while is_mounted(path):
            sys.umount2(path, sys.MNT_DETACH)
    except OSError:
        if is_mounted(path):
            raise

"""Finding a container's process again when every launcher before was killed: from the pid and start time in its
state, and its output pipes through whoever in its cgroup still holds them.
"""

from __future__ import annotations

import os

from actors.plugins.runtime.launcher.shared import Hold
from actors.plugins.runtime.launcher.state import read_start_ticks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from actors.plugins.runtime.launcher.cgroups import Cgroups
    from actors.plugins.runtime.launcher.plan import State

_PROCESSES_MAX = 64


def find_hold(state: State, cgroups: Cgroups) -> Hold | None:
    """None when the process is gone. Its pipes hold what it wrote meanwhile: it has them open for reading too."""
    pid = state["pid"]
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return None
    if read_start_ticks(pid) != state["start_ticks"]:
        os.close(pidfd)
        return None
    pids = [pid, *cgroups.processes(state["id"])[:_PROCESSES_MAX]]
    if state.get("tty"):
        return Hold(pid, pidfd, -1, -1, -1)  # its terminal ended with the last launcher that held it
    stdout, stderr = (_open_pipe(pids, number, inode) for number, inode in zip((1, 2), state["pipes"], strict=True))
    return Hold(pid, pidfd, stdout, stderr, -1)


def _open_pipe(pids: list[int], number: int, inode: int) -> int:
    """A read end of the pipe with this inode number; -1 when nobody has it any more."""
    for pid in dict.fromkeys(pids):
        for fd in (number, 3 - number):
            path = f"/proc/{pid}/fd/{fd}"
            try:
                if os.readlink(path) != f"pipe:[{inode}]":
                    continue
                return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError:
                continue
    return -1

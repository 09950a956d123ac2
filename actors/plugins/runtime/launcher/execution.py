"""Running a further process in a container: the worker leaves it to a minder, which lives as long as the process.

worker --fork, fork--> minder (the supervisor's child, in the host's namespaces)
minder --clone3------> the process, in the container's PID namespace and cgroups

The data never passes through the launcher: the process has the caller's own pipes, or a terminal whose master is sent
to the caller. The minder tells {"started"}, {"error": [code, message]} and {"exit": code} on the caller's control
socket, and kills the process's group when the caller closes it. It needs neither worker nor supervisor: both may be
replaced while the process runs.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket

from actors.plugins.runtime.launcher import entrant, exits, protocol
from actors.plugins.runtime.launcher import syscalls as sys
from actors.plugins.runtime.launcher.users import User

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from actors.plugins.runtime.launcher.cgroups import Cgroups
    from actors.plugins.runtime.launcher.plan import Plan

NAME = "raypod-exec"
_DESCRIPTORS_MAX = 1 << 20


class Job:
    """`fds` by name: control, and stdin, stdout and stderr, or none of these for a process with a terminal."""

    __slots__ = ("argv", "cgroups", "fds", "last_capability", "permitted", "pidfd", "plan", "user")
    plan: Plan
    user: User
    argv: list[str]
    pidfd: int
    fds: dict[str, int]
    cgroups: Cgroups
    last_capability: int
    permitted: int


def begin(job: Job) -> None:
    """Returns at once, in the worker. The minder is nobody's but the supervisor's."""
    stranger = os.fork()
    if stranger:
        os.waitpid(stranger, 0)
        return
    try:
        if os.fork() == 0:
            _mind(job)
    finally:
        os._exit(0)


def _mind(job: Job) -> NoReturn:
    """What is said to a caller that has gone, or cannot be said at all, is lost with it."""
    control = socket.socket(fileno=job.fds["control"])
    try:
        _leave_launcher([*job.fds.values(), job.pidfd])
        pid, pidfd, status = _start(job)
        _watch(control, pid, pidfd, status)
    except OSError as error:
        _tell(control, {"error": [128, f"{error.strerror or error}"]})
    finally:
        os._exit(0)


def _leave_launcher(kept: list[int]) -> None:
    """Neither its sockets nor its lock: another launcher may take its place while this process lives."""
    first = 3
    for fd in sorted(kept):
        os.closerange(first, fd)
        first = fd + 1
    os.closerange(first, _DESCRIPTORS_MAX)
    signal.set_wakeup_fd(-1)
    with open("/proc/self/comm", "w", encoding="ascii") as file:
        file.write(NAME)


def _start(job: Job) -> tuple[int, int, int]:
    """(pid, pidfd, the end of a pipe that closes at exec) of the process."""
    status, reports = os.pipe2(os.O_CLOEXEC)
    entry = entrant.Entry()
    entry.plan, entry.argv, entry.pidfd = job.plan, job.argv, job.pidfd
    entry.control, entry.status = job.fds["control"], reports
    entry.last_capability, entry.permitted = job.last_capability, job.permitted
    entry.cgroup_fds = job.cgroups.open_joins(job.plan["id"])
    entry.stdio = [job.fds[name] for name in ("stdin", "stdout", "stderr") if name in job.fds]
    unified = job.cgroups.open_unified(job.plan["id"])
    sys.setns(job.pidfd, sys.CLONE_NEWPID)
    pid, pidfd = sys.clone3(0, unified)
    if pid == 0:
        entrant.run(entry, job.user)
    for fd in (reports, *entry.stdio):
        os.close(fd)
    return pid, pidfd, status


def _watch(control: socket.socket, pid: int, pidfd: int, status: int) -> None:
    """Until the process has exited."""
    poll = select.poll()
    for fd in (control.fileno(), pidfd, status):
        poll.register(fd, select.POLLIN)
    while True:
        ready = {fd for fd, _ in poll.poll()}
        if status in ready:
            poll.unregister(status)
            _tell(control, _told(os.read(status, 4096)))
            status = -1
        if pidfd in ready:
            if status >= 0:
                _tell(control, _told(os.read(status, 4096)))
            _tell(control, {"exit": exits.code_of(os.waitid(os.P_PIDFD, pidfd, os.WEXITED))})
            return
        if control.fileno() in ready:
            poll.unregister(control.fileno())
            _kill(pid, pidfd)


def _told(report: bytes) -> dict[str, object]:
    """The process's last word before exec, or the silence of a successful one."""
    return {"error": json.loads(report)} if report else {"started": True}


def _kill(pid: int, pidfd: int) -> None:
    """The process leads a session, or is about to; it is not reaped yet, so its number is nobody else's."""
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _tell(control: socket.socket, message: dict[str, object]) -> None:
    try:
        protocol.send(control, message)
    except OSError:
        return

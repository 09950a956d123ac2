"""What runs between clone3 and exec of a further process in a container that runs already (`kubectl exec`).

The container is hostile by now: it sees this process in its /proc as soon as it enters, and its files may be anything.
So everything is opened before entering, namespaces are named by the pidfd of the container's own init and not by a
number, nothing can be imported or dumped any more, and paths resolve inside the root without magic links.
"""

from __future__ import annotations

import os

from actors.plugins.runtime.launcher import child, privileges, rootfs
from actors.plugins.runtime.launcher import syscalls as sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from actors.plugins.runtime.launcher.plan import Plan
    from actors.plugins.runtime.launcher.users import User

_PARENT_FDS_FIRST = 3
_ENTERED = sys.CLONE_NEWNS | sys.CLONE_NEWCGROUP | sys.CLONE_NEWNET | sys.CLONE_NEWIPC | sys.CLONE_NEWUTS


class Entry:
    """Everything the process needs, opened by its parent. `stdio` is empty for one with a terminal."""

    __slots__ = ("argv", "cgroup_fds", "control", "last_capability", "permitted", "pidfd", "plan", "status", "stdio")
    plan: Plan
    user: User
    argv: list[str]
    #: The container's init.
    pidfd: int
    cgroup_fds: list[int]
    stdio: list[int]
    #: Where a terminal's master is sent.
    control: int
    status: int
    last_capability: int
    permitted: int


def run(entry: Entry, user: User) -> NoReturn:
    """Never returns, and never lets an exception climb into the parent's code."""
    code = 128
    try:
        _enter(entry, user)
        environment = entry.plan["env"] if entry.stdio else child.with_terminal(entry.plan["env"])
        child.execute(entry.argv, {"HOME": user.home} | environment)
    except child.StartError as error:
        code = error.code
        child.report(entry.status, code, error.message)
    except BaseException as error:
        child.report(entry.status, code, f"{error.strerror}" if isinstance(error, OSError) else repr(error))
    os._exit(code)


def _enter(entry: Entry, user: User) -> None:
    for fd in entry.cgroup_fds:
        os.write(fd, b"0")
    child.reset_process()
    child.forget_imports()
    sys.setns(entry.pidfd, _ENTERED)
    os.setsid()
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    working_directory = _open_working_directory(root, entry.plan["cwd"])
    if entry.stdio:
        _set_stdio(entry.stdio, user)
    else:
        child.open_controlling(entry.control, user)
    os.fchdir(working_directory)
    if not os.getcwd().startswith("/"):
        raise child.StartError(128, "the working directory is outside the container")
    sys.close_range_on_exec(_PARENT_FDS_FIRST)
    privileges.apply_privileges(entry.plan, user, entry.last_capability, entry.permitted)


def _open_working_directory(root: int, path: str) -> int:
    try:
        return rootfs.open_path(root, path, os.O_PATH | os.O_DIRECTORY)
    except OSError as error:
        raise child.StartError(128, f"working directory {child.shown(path)!r}: {error.strerror}") from error


def _set_stdio(stdio: list[int], user: User) -> None:
    for number, fd in enumerate(stdio):
        os.dup2(fd, number, inheritable=True)
    for number in (0, 1, 2):
        child.give_pipe(number, user)

"""What runs between clone3 and exec, as pid 1 of a new PID namespace: build the root, drop privileges, become the
container's process. It reports on a pipe that closes at exec: no word means that the process runs.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import socket
import stat
import sys as interpreter

from actors.plugins.runtime.launcher import devfs, kernelfs, mounts, privileges, protocol, rootfs, terminal, volumes
from actors.plugins.runtime.launcher import syscalls as sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from actors.plugins.runtime.launcher.plan import Plan
    from actors.plugins.runtime.launcher.users import User

#: Sent on the status pipe when the launcher died before it had written down whose process this is.
ABORTED = "aborted"
_FILES_MAX = 1 << 20
_PARENT_FDS_FIRST = 3
#: Of a command's name in a message.
_NAME_CHARS_MAX = 128


class Launch:
    """Everything the child needs, opened by the parent: it opens nothing of the host's by a container's path."""

    __slots__ = (
        "cgroup_fds",
        "console",
        "go",
        "hierarchies",
        "last_capability",
        "namespace_fds",
        "null",
        "parent_only",
        "permitted",
        "plan",
        "root_fd",
        "staging",
        "status",
        "stderr",
        "stdin",
        "stdout",
        "user",
    )
    plan: Plan
    user: User
    root_fd: int
    #: A directory of the host's to attach the root at, in this mount namespace.
    staging: str
    namespace_fds: list[int]
    cgroup_fds: list[int]
    parent_only: list[int]
    hierarchies: list[tuple[str, str]]
    #: Pipes, -1 where it has none; with a terminal it has none of them, and the master goes to `console`.
    stdin: int
    stdout: int
    stderr: int
    console: int
    go: int
    status: int
    #: Its own /dev/null: whoever holds the host's could change its mode.
    null: int
    #: The last capability this kernel knows, and the set that we hold.
    last_capability: int
    permitted: int


class StartError(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def run(launch: Launch) -> NoReturn:
    """Never returns, and never lets an exception climb into the parent's code."""
    code = 128
    try:
        for fd in launch.parent_only:
            os.close(fd)
        _prepare(launch)
        if not os.read(launch.go, 1):
            raise StartError(code, ABORTED)
        environment = with_terminal(launch.plan["env"]) if launch.plan["tty"] else launch.plan["env"]
        execute(launch.plan["argv"], {"HOME": launch.user.home} | environment)
    except StartError as error:
        code = error.code
        report(launch.status, code, error.message)
    except BaseException as error:
        report(launch.status, code, f"{error.strerror}" if isinstance(error, OSError) else repr(error))
    os._exit(code)


def _prepare(launch: Launch) -> None:
    plan = launch.plan
    for fd in launch.cgroup_fds:
        os.write(fd, b"0")
    sys.unshare(sys.CLONE_NEWCGROUP)
    for fd in launch.namespace_fds:
        sys.setns(fd, 0)
    os.setsid()
    reset_process()
    shared = volumes.open_shared(plan)
    mounts.make_private()
    working_directory = _build_root(launch, shared)
    forget_imports()
    mounts.enter(launch.root_fd)
    _set_stdio(launch)
    os.fchdir(working_directory)
    if not os.getcwd().startswith("/"):
        raise StartError(128, f"working directory {shown(plan['cwd'])!r} is outside the container")
    sys.close_range_on_exec(_PARENT_FDS_FIRST)
    privileges.apply_privileges(plan, launch.user, launch.last_capability, launch.permitted)


def reset_process() -> None:
    """Undo what Python and the launcher have set for themselves."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.umask(0o022)
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("0")
    except PermissionError:
        pass  # lowering it needs CAP_SYS_RESOURCE
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    ceiling = _FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, _FILES_MAX)
    resource.setrlimit(resource.RLIMIT_NOFILE, (ceiling, hard))


def forget_imports() -> None:
    """A module that is imported from here on would be read from the container's files."""
    interpreter.meta_path.clear()
    interpreter.path_hooks.clear()
    interpreter.path.clear()


def _build_root(launch: Launch, shared: dict[int, int]) -> int:
    """Attach the root file system in this mount namespace, and everything inside it, by descriptor. Answers the
    working directory's.
    """
    plan, root = launch.plan, launch.root_fd
    null = kernelfs.open_null()
    # Sources are opened before the root is attached: a path of the host's means the host's file.
    sources = volumes.open_sources(plan, shared)
    staging = os.open(launch.staging, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    mounts.attach(root, staging)
    proc = kernelfs.attach_proc(root)
    sysfs = kernelfs.attach_sys(root, launch.hierarchies, writable=plan["privileged"])
    dev = devfs.attach_dev(root, plan)
    launch.null = rootfs.open_path(dev, "null", os.O_RDONLY)
    devfs.make_nodes(root, [node for node in plan["nodes"] if not node[0].startswith("/dev/")])
    volumes.attach(plan, sources, root, os.fstat(proc).st_dev)
    for path, target_path in plan["symlinks"]:
        rootfs.make_symlink(root, path, target_path)
    kernelfs.cover_paths(proc, sysfs, null, plan)
    working_directory = _open_working_directory(root, plan["cwd"])
    if plan["read_only"]:
        mounts.set_attributes(root, mounts.RDONLY)
    return working_directory


def _open_working_directory(root: int, path: str) -> int:
    """By descriptor, without magic links: /proc/self/fd/N would lead out (CVE-2024-21626)."""
    try:
        return rootfs.make_directory(root, path)
    except OSError as error:
        raise StartError(128, f"working directory {shown(path)!r}: {error.strerror}") from error


def _set_stdio(launch: Launch) -> None:
    """Pipes belong to the container's user, so that it can open /dev/stdout again."""
    if launch.console >= 0:
        open_controlling(launch.console, launch.user)
        return
    stdin = launch.null if launch.stdin < 0 else launch.stdin
    for fd, number in ((stdin, 0), (launch.stdout, 1), (launch.stderr, 2)):
        os.dup2(fd, number, inheritable=True)
    for number in (0, 1, 2):
        give_pipe(number, launch.user)


def open_controlling(console: int, user: User) -> None:
    """A terminal of this root's devpts, its master sent to whoever started us."""
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    master, slave = terminal.open_terminal(root, user.uid)
    protocol.send(socket.socket(fileno=os.dup(console)), {"terminal": True}, [master])
    os.close(master)
    terminal.take_terminal(slave)


def give_pipe(fd: int, user: User) -> None:
    """What is no pipe (the host's /dev/null) stays whose it is."""
    if stat.S_ISFIFO(os.fstat(fd).st_mode):
        os.fchown(fd, user.uid, user.gid)


def with_terminal(env: dict[str, str]) -> dict[str, str]:
    return {"TERM": "xterm"} | env


def execute(argv: list[str], env: dict[str, str]) -> NoReturn:
    """Become `argv`, looked for in `env`'s PATH. Raises StartError."""
    name = argv[0]
    if "/" in name:
        _try_exec(name, argv, env)
        raise StartError(127, f'exec: "{shown(name)}": stat {shown(name)}: no such file or directory')
    for directory in env.get("PATH", "").split(":"):
        if directory.startswith("/"):
            _try_exec(f"{directory}/{name}", argv, env)
    raise StartError(127, f'exec: "{shown(name)}": executable file not found in $PATH')


def _try_exec(path: str, argv: list[str], env: dict[str, str]) -> None:
    """Returns when there is nothing at `path`."""
    try:
        os.execve(path, argv, env)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        code = 126 if error.errno in (errno.EACCES, errno.EPERM, errno.ENOEXEC, errno.EISDIR) else 128
        raise StartError(code, f'exec: "{shown(argv[0])}": {os.strerror(error.errno or 0).lower()}') from error
    except ValueError as error:
        raise StartError(128, f'exec: "{shown(argv[0])}": {error}') from error


def shown(name: str) -> str:
    """In a message, which is no place for all that a user can write."""
    return name if len(name) <= _NAME_CHARS_MAX else f"{name[:_NAME_CHARS_MAX]}..."


def report(status: int, code: int, message: str) -> None:
    try:
        os.write(status, json.dumps([code, message[:2000]]).encode())
    except OSError:
        os._exit(code)

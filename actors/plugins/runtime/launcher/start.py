"""From a plan to a process: the overlay, the user, the pipes, and the clone. The parent's half of a launch."""

from __future__ import annotations

import errno
import itertools
import os
import socket
import zlib

from actors.plugins.runtime.launcher import child, mounts, namespaces, rootfs, users, volumes
from actors.plugins.runtime.launcher import syscalls as sys
from actors.plugins.runtime.launcher.state import make_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from actors.plugins.runtime.launcher.cgroups import Cgroups
    from actors.plugins.runtime.launcher.plan import Plan
    from actors.plugins.runtime.layout import Layout


class Refused(Exception):
    """A request that cannot be served, with Kubernetes' reason."""

    def __init__(self, reason: str, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.reason, self.message, self.retryable = reason, message, retryable


class Prepared:
    """A container's root file system, mounted nowhere yet, and whom its process runs as."""

    __slots__ = ("plan", "root_fd", "user")

    def __init__(self, plan: Plan, root_fd: int, user: users.User) -> None:
        self.plan, self.root_fd, self.user = plan, root_fd, user

    def close(self) -> None:
        os.close(self.root_fd)


class Started:
    __slots__ = ("console", "go", "pid", "pidfd", "pipes", "status", "stderr", "stdin", "stdout")
    pid: int
    pidfd: int
    #: -1: it has none. Of one with a terminal they are known once the master has come on `console`.
    stdin: int
    stdout: int
    stderr: int
    console: socket.socket | None
    status: int
    #: Write one byte: the process may become the container's.
    go: int
    pipes: list[int]


def prepare(plan: Plan, layout: Layout) -> Prepared:
    """Mount the overlay and look the user up in it. Repeating it starts from the same upper directory."""
    try:
        volumes.prepare(plan)
    except volumes.Unprepared as error:
        raise Refused(error.reason, str(error), retryable=True) from error
    root_fd = _open_root(plan, layout)
    try:
        passwd, group = (rootfs.read_file(root_fd, path) for path in ("/etc/passwd", "/etc/group"))
        user = users.resolve_user(plan["user"], plan["groups"], passwd, group, strict=plan["strict_groups"])
        if plan["run_as_non_root"] and user.uid == 0:
            raise Refused("CreateContainerConfigError", "container has runAsNonRoot and image will run as root")
    except ValueError as error:
        os.close(root_fd)
        raise Refused("CreateContainerError", str(error)) from error
    except BaseException:
        os.close(root_fd)
        raise
    return Prepared(plan, root_fd, user)


def _open_root(plan: Plan, layout: Layout) -> int:
    directory = layout.container(plan["id"])
    upper, work = f"{directory}/upper", _new_work_directory(directory)
    make_directory(upper, 0o755)
    layers = [_make_view(layout.view, plan["opaque"]), *plan["layers"]] if plan["opaque"] else plan["layers"]
    try:
        return mounts.open_overlay(layers, upper, work)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        hint = "the layers or the node's state directory may be on a file system that overlayfs cannot use"
        raise OSError(error.errno, f"{error.strerror} ({hint})") from error


def _new_work_directory(directory: str) -> str:
    """Always a new one: a volatile overlay leaves a mark in its own that forbids mounting again."""
    for number in itertools.count():
        path = f"{directory}/work{number or ''}"
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            continue
        return path
    raise AssertionError("unreachable")


def _make_view(view: str, hidden: list[str]) -> str:
    """A layer that goes over the node's own root and hides these directories of it; made once for a set of them."""
    path = f"{view}/{zlib.crc32(chr(0).join(hidden).encode()):08x}"
    if not os.path.isdir(path):
        building = f"{path}.{os.getpid()}"
        os.makedirs(building, 0o755)
        for directory in hidden:
            _hide(building, directory)
        os.rename(building, path)
    return path


def _hide(layer: str, path: str) -> None:
    """What leads to the directory keeps its modes."""
    place, source = layer, "/"
    for part in path.strip("/").split("/"):
        place, source = f"{place}/{part}", os.path.join(source, part)
        try:
            found = os.lstat(source)
            os.mkdir(place)
        except FileExistsError:
            continue
        except FileNotFoundError:
            return
        os.chmod(place, found.st_mode & 0o7777)
        os.chown(place, found.st_uid, found.st_gid)
    os.setxattr(place, "trusted.overlay.opaque", b"y")


def launch(
    prepared: Prepared, cgroups: Cgroups, staging: str, last_capability: int, permitted: int, target: int = -1
) -> Started:
    """Clone the container's process. It waits for `go` before it executes anything of the image's. `target`: a pidfd of
    whom it shares a PID namespace with."""
    plan = prepared.plan
    opened: list[int] = []
    try:
        started, launch_ = _open_pipes(opened, plan)
        launch_.plan, launch_.user, launch_.root_fd, launch_.staging = plan, prepared.user, prepared.root_fd, staging
        launch_.namespace_fds = [
            _open_into(opened, path, os.O_RDONLY)
            for kind, path in plan["namespaces"].items()
            if kind in namespaces.KINDS
        ]
        launch_.cgroup_fds = cgroups.open_joins(plan["id"])
        opened += launch_.cgroup_fds
        launch_.hierarchies = cgroups.view(plan["id"])
        launch_.last_capability, launch_.permitted = last_capability, permitted
        unified = cgroups.open_unified(plan["id"])
        opened += [unified] if unified >= 0 else []
        flags = sys.CLONE_NEWNS | (0 if plan["host_pid"] or target >= 0 else sys.CLONE_NEWPID)
        way_back = namespaces.enter_pid(target) if target >= 0 else []
        try:
            started.pid, started.pidfd = sys.clone3(flags, unified)
            if started.pid == 0:
                child.run(launch_)
        finally:
            namespaces.leave(way_back)
        return started
    finally:
        for fd in opened:
            os.close(fd)
        prepared.close()


def _open_pipes(opened: list[int], plan: Plan) -> tuple[Started, child.Launch]:
    """`opened`: the child's ends, which the parent closes. Output pipes are opened for reading too on the child's
    side: when every launcher is dead the container's writes wait for the next one instead of failing with EPIPE.
    """
    started, launch_ = Started(), child.Launch()
    started.stdin = started.stderr = launch_.stdin = launch_.stdout = launch_.stderr = launch_.console = -1
    started.console = None
    started.pipes = []
    if plan["tty"]:
        started.stdout, _ = _open_output(opened)
        started.console, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        launch_.console = theirs.detach()
        opened.append(launch_.console)
    else:
        started.stdout, launch_.stdout = _open_output(opened)
        started.stderr, launch_.stderr = _open_output(opened)
        started.pipes = [os.fstat(fd).st_ino for fd in (started.stdout, started.stderr)]
        if plan["stdin"]:
            launch_.stdin, started.stdin = os.pipe2(os.O_CLOEXEC)
            opened.append(launch_.stdin)
    started.status, launch_.status = os.pipe2(os.O_CLOEXEC)
    launch_.go, started.go = os.pipe2(os.O_CLOEXEC)
    opened += [launch_.status, launch_.go]
    kept = (started.go, started.status, started.stdin, started.console.fileno() if started.console else -1)
    launch_.parent_only = [fd for fd in kept if fd >= 0]
    return started, launch_


def _open_output(opened: list[int]) -> tuple[int, int]:
    reader, writer = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(reader, False)
    opened.append(writer)
    return reader, _open_into(opened, f"/proc/self/fd/{writer}", os.O_RDWR)


def _open_into(opened: list[int], path: str, flags: int) -> int:
    fd = os.open(path, flags | os.O_CLOEXEC)
    opened.append(fd)
    return fd

"""The launcher's way into the world: twice a process of its own, from a read-only executable, reset, locked.

Stage 1 leaves its parent (setsid, fork) and executes stage 2 through a read-only mount of the interpreter that is
attached nowhere: whoever gets hold of /proc/<pid>/exe cannot open it for writing (CVE-2019-5736).
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys

from actors.plugins.runtime.launcher import mounts, syscalls
from actors.plugins.runtime.launcher.cgroup_v1 import hold_favordynmods
from actors.plugins.runtime.launcher.cgroups import Cgroups, read_layout
from actors.plugins.runtime.launcher.namespaces import mount_tmpfs, unmount
from actors.plugins.runtime.launcher.shared import Shared
from actors.plugins.runtime.launcher.state import make_directory
from actors.plugins.runtime.launcher.supervisor import supervise
from actors.plugins.runtime.layout import Layout

NAME = "raypod-launcher"
LOG_BYTES_MAX = 1 << 20
_OOM_SCORE = -900
_RUN_BYTES_MAX = 256 << 20


def main() -> None:
    """argv: the folder of our packages, a JSON object {root, cgroup}, and in stage 2 the word `sealed`."""
    settings = json.loads(sys.argv[2])
    if len(sys.argv) == 3:
        _leave_parent()
        _exec_sealed()
    layout = Layout(settings["root"])
    _reset_process(layout.root)
    lock = _take_lock(layout.root)
    if lock < 0:
        return
    cgroups = Cgroups(read_layout(), settings["cgroup"])
    cgroups.prepare()
    cgroups.adopt_launcher()
    syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
    mount_tmpfs(layout.run, _RUN_BYTES_MAX)
    for path in (layout.staging, f"{layout.run}/containers", f"{layout.run}/sandboxes"):
        make_directory(path)
    listener = _listen(layout.root)
    favor = -1 if cgroups.layout.pure_v2 else hold_favordynmods()
    supervise(Shared(layout, listener, cgroups, [lock, favor]))
    os.unlink(layout.socket)
    if not os.listdir(f"{layout.run}/sandboxes"):
        unmount(layout.run)
    cgroups.dismiss_launcher()


def _leave_parent() -> None:
    os.setsid()
    if os.fork():
        os._exit(0)


def _exec_sealed() -> None:
    executable = os.path.realpath(sys.executable)
    arguments = [executable, *sys.orig_argv[1:], "sealed"]
    try:
        exe = mounts.clone_tree(executable, recursive=False)
        mounts.set_attributes(exe, mounts.RDONLY)
    except OSError:
        os.execve(executable, arguments, {})  # a kernel before 5.12
    os.execve(exe, arguments, {})


def _reset_process(root: str) -> None:
    """Nothing of the caller's stays: niceness, OOM score, descriptors, directory, output."""
    os.closerange(3, 1 << 16)
    os.chdir("/")
    os.umask(0o022)
    log = f"{root}/launcher.log"
    if os.path.exists(log) and os.path.getsize(log) > LOG_BYTES_MAX:
        os.rename(log, f"{log}.1")
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for source, target in ((null, 0), (out, 1), (out, 2)):
        os.dup2(source, target)
    os.close(out)
    os.close(null)
    for path, value in (("comm", NAME), ("oom_score_adj", str(_OOM_SCORE)), ("oom_score_adj", "0")):
        if path == "oom_score_adj" and _read_oom_score() == _OOM_SCORE:
            continue
        _try_write(f"/proc/self/{path}", value)
    try:
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    except PermissionError:
        return


def _read_oom_score() -> int:
    with open("/proc/self/oom_score_adj", encoding="ascii") as file:
        return int(file.read())


def _try_write(path: str, value: str) -> None:
    """Lowering the OOM score needs CAP_SYS_RESOURCE, which not every root has."""
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(value)
    except PermissionError:
        return


def _take_lock(root: str) -> int:
    """-1 when another launcher serves this root: it holds the lock as long as any of its processes lives."""
    fd = os.open(f"{root}/launcher.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return -1
    return fd


def _listen(root: str) -> socket.socket:
    """A socket's path may have 108 bytes: it is bound through a descriptor of its folder."""
    path = f"{root}/launcher.sock"
    if os.path.lexists(path):
        os.unlink(path)
    folder = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(f"/proc/self/fd/{folder}/launcher.sock")
    os.close(folder)
    os.chmod(path, 0o600)
    listener.listen(64)
    return listener

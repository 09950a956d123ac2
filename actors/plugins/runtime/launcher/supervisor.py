"""The supervisor: parent of the worker, holder of every running container's descriptors, reaper of orphans.

supervisor --fork--> worker --clone--> containers
worker killed:      containers become the supervisor's (PR_SET_CHILD_SUBREAPER); it forks a new worker, which
                    inherits every descriptor and exit code by the fork itself
supervisor killed:  the worker sees the end of their socket, becomes the supervisor and forks a worker
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time

from actors.plugins.runtime.launcher import exits, protocol
from actors.plugins.runtime.launcher import syscalls as sys
from actors.plugins.runtime.launcher.shared import Hold, Shared
from actors.plugins.runtime.launcher.worker import Worker

_PAUSE_S_MAX = 1.0
_STABLE_S = 10.0


def supervise(shared: Shared) -> None:
    """Returns when a worker has ended by its own will: nothing runs and nobody asks."""
    pause_s = 0.0
    while True:
        sys.prctl(sys.PR_SET_CHILD_SUBREAPER, 1)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        supervisor_pid = os.getpid()
        worker = os.fork()
        if worker == 0:
            ours.close()
            _run_worker(shared, theirs, supervisor_pid)
            theirs.close()
            pause_s = 0.0
            continue
        theirs.close()
        began = time.monotonic()
        ended = _Watch(shared, ours, worker).run()
        ours.close()
        if ended:
            return
        if time.monotonic() - began > _STABLE_S:
            pause_s = 0.0
        time.sleep(pause_s)
        pause_s = min(_PAUSE_S_MAX, pause_s * 2 + 0.02)


def _run_worker(shared: Shared, supervisor: socket.socket, supervisor_pid: int) -> None:
    """Returns only in a worker whose supervisor has died."""
    try:
        orphaned = Worker(shared, supervisor, supervisor_pid).run()
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(1)
    if not orphaned:
        os._exit(0)


class _Watch:
    """One worker's life, seen from its supervisor."""

    def __init__(self, shared: Shared, worker_socket: socket.socket, worker: int) -> None:
        self._shared, self._socket, self._worker = shared, worker_socket, worker
        self._ended: bool | None = None

    def run(self) -> bool:
        """True when the worker ended by its own will, False when it died."""
        wake, waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        handler = signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        self._socket.setblocking(False)
        poll = select.poll()
        poll.register(wake, select.POLLIN)
        poll.register(self._socket.fileno(), select.POLLIN)
        while self._ended is None:
            self._reap_all()
            if self._ended is None:
                for fd, _ in poll.poll():
                    if fd == wake:
                        os.read(wake, 4096)
                    elif not self._read_messages():
                        poll.unregister(fd)
        self._read_messages()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, handler)
        os.close(wake)
        os.close(waker)
        return self._ended

    def _read_messages(self) -> bool:
        """False once nothing more can come."""
        while True:
            try:
                received = protocol.receive(self._socket)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if received is None:
                return False
            self._obey(*received)

    def _obey(self, message: dict[str, object], fds: list[int]) -> None:
        if "drop" in message:
            self._shared.drop(str(message["drop"]))
            return
        names = message["names"]
        assert isinstance(names, list)
        places = dict.fromkeys(Hold.NAMES, -1) | dict(zip(names, fds, strict=True))
        self._shared.drop(str(message["hold"]))
        self._shared.holds[str(message["hold"])] = Hold(int(str(message["pid"])), **places)

    def _reap_all(self) -> None:
        """Every dead child: the worker, containers of a worker before it, and strays that came to the subreaper.

        A container's code is written down before its zombie goes.
        """
        while True:
            try:
                info = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if info is None:
                return
            self._read_messages()
            self._record(info.si_pid, exits.code_of(info))
            os.waitid(os.P_PID, info.si_pid, os.WEXITED)

    def _record(self, pid: int, code: int) -> None:
        if pid == self._worker:
            self._ended = code == 0
            return
        for container_id, hold in self._shared.holds.items():
            if hold.pid == pid:
                at_ms = time.time_ns() // 1_000_000
                self._shared.files.write_exit(container_id, code, at_ms)
                self._shared.exits[container_id] = (code, at_ms)
                self._tell_worker({"exit": container_id, "code": code, "at_ms": at_ms})

    def _tell_worker(self, message: dict[str, object]) -> None:
        try:
            protocol.send(self._socket, message)
        except OSError:
            return  # it is dead, and the next one inherits what we know

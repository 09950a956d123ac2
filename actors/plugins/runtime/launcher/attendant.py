"""What happens to a running container: output, exec, exit. Called back by the worker's loop.

Order is what survives a kill: the exit is on disk before the zombie is reaped and the descriptors are dropped.
"""

from __future__ import annotations

import json
import os
import signal
import time

from actors.plugins.runtime import exits as meaning
from actors.plugins.runtime.errors import UNKNOWN_CODE, UNKNOWN_REASON
from actors.plugins.runtime.launcher import child, exits, protocol
from actors.plugins.runtime.launcher.audience import STDERR, STDOUT, Audience
from actors.plugins.runtime.launcher.container import CREATED, EXITED, Container, Stream
from actors.plugins.runtime.launcher.loop import EDGE, HUP, IN, Loop, has_gone
from actors.plugins.runtime.launcher.shared import Hold, Shared
from actors.plugins.runtime.launcher.spool import ENDED, MORE, WAITING

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from actors.plugins.runtime.launcher.plan import State

_PARTIAL_LINE_S = 1.0
#: When somebody is attached, who may be waiting for a prompt.
_PARTIAL_LINE_HEARD_S = 0.02
#: A pipe takes so much in one piece (PIPE_BUF).
_TERMINAL_BYTES, _TERMINAL_ROUNDS_MAX, _TERMINAL_DRAIN_MAX = 4096, 32, 1024
#: How long to wait for the supervisor's word on an exit, where the kernel does not keep the code.
_SUPERVISOR_S = 1.0


class Attendant:
    """Watches over running containers; `publish` is called with the state at each start and exit."""

    def __init__(self, shared: Shared, loop: Loop, supervisor: socket.socket, publish: Callable[[State], None]) -> None:
        self._shared, self._loop, self._supervisor, self._publish = shared, loop, supervisor, publish

    def register(self, container_id: str, hold: Hold) -> None:
        self._shared.holds[container_id] = hold
        held = hold.fds()
        self._tell_supervisor({"hold": container_id, "pid": hold.pid, "names": list(held)}, list(held.values()))

    def _tell_supervisor(self, message: dict[str, object], fds: list[int]) -> None:
        """A supervisor that has died is replaced by this very process: then nobody needs to know."""
        try:
            protocol.send(self._supervisor, message, fds)
        except OSError:
            return

    def watch(self, container: Container, hold: Hold) -> None:
        container.pidfd, container.status = hold.pidfd, hold.status
        if container.log.path == "":
            container.open_log()
        for fd, name in ((hold.stdout, "stdout"), (hold.stderr, "stderr")):
            if fd >= 0:
                stream = Stream(fd, name)
                container.streams.append(stream)
                self._loop.watch(fd, lambda _, stream=stream: self._on_output(container, stream), IN | EDGE)  # type: ignore[misc]
        self._watch_input(container, hold)
        if hold.status >= 0:
            self._loop.watch(hold.status, lambda _: self._on_status(container))
        self._loop.watch(hold.pidfd, lambda events: self._on_process(container, events))

    def _watch_input(self, container: Container, hold: Hold) -> None:
        container.audience = Audience(self._loop, container, self.close_input)
        if hold.stdin >= 0:
            os.set_blocking(hold.stdin, False)
        if not container.state.get("tty"):
            container.input = hold.stdin
            for stream, channel in zip(container.streams, (STDOUT, STDERR), strict=False):
                stream.heard = lambda data, channel=channel: self._tell(container, channel, data)
        elif hold.stdin >= 0:
            container.terminal, container.input = hold.stdin, os.dup(hold.stdin)
            container.relay = os.open(f"/proc/self/fd/{hold.stdout}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            self._loop.watch(container.terminal, lambda _: self._on_terminal(container))

    def _tell(self, container: Container, channel: int, data: bytes) -> None:
        if container.audience:
            container.audience.tell(channel, data)

    def _on_terminal(self, container: Container) -> None:
        """What it shows goes to the log by a pipe, as other containers' output does, and to who is attached at once."""
        for _ in range(_TERMINAL_ROUNDS_MAX):
            try:
                data = os.read(container.terminal, _TERMINAL_BYTES)
            except BlockingIOError:
                return
            except OSError:
                data = b""  # nobody has it open any more
            if not data:
                self._loop.forget(container.terminal)
                return
            self._relay(container, data)
            self._tell(container, STDOUT, data)
            self._on_output(container, container.streams[0])

    def _relay(self, container: Container, data: bytes) -> None:
        try:
            os.write(container.relay, data)  # so little goes in as one piece, or not at all
        except BlockingIOError:
            container.pump(self._shared.spool, container.streams[0], "P")
            os.write(container.relay, data)

    def close_input(self, container: Container) -> None:
        """For good: here and with the supervisor."""
        hold = self._shared.holds.get(container.id)
        if hold is None or hold.stdin < 0 or container.state.get("tty"):
            return
        self._loop.forget(hold.stdin)
        os.close(hold.stdin)
        hold.stdin = container.input = -1
        self.register(container.id, hold)

    def _on_output(self, container: Container, stream: Stream, tail_tag: str = "") -> None:
        if not container.running:
            return
        outcome = container.pump(self._shared.spool, stream, tail_tag)
        if outcome == MORE:
            self._loop.call_later(0, lambda: self._on_output(container, stream))
        elif outcome == ENDED:
            self._loop.forget(stream.fd)
        elif outcome == WAITING and not stream.timer_set:
            stream.timer_set = True
            delay_s = _PARTIAL_LINE_HEARD_S if container.audience else _PARTIAL_LINE_S
            self._loop.call_later(delay_s, lambda: self._on_partial_line(container, stream))

    def _on_partial_line(self, container: Container, stream: Stream) -> None:
        stream.timer_set = False
        self._on_output(container, stream, "P")

    def _on_status(self, container: Container) -> None:
        """The child's last word, or the silence of a successful exec."""
        report = os.read(container.status, 4096)
        self._loop.forget(container.status)
        container.status = -1
        if report:
            code, message = json.loads(report)
            container.start_error = (code, message)
            return
        if container.starters:
            self._publish(container.state)
        self._call_starters(container)

    def _on_process(self, container: Container, events: int) -> None:
        try:
            code = exits.peek_exit(container.pidfd)
        except ChildProcessError:
            self._ask_others(container, events)
            return
        if code is not None:
            self.finish(container, code, now_ms())

    def _ask_others(self, container: Container, events: int) -> None:
        """The process is not our child: the supervisor reaps it and tells, or the kernel does once it is reaped."""
        if not has_gone(events):
            self._loop.change(container.pidfd, HUP)
            return
        code = exits.read_exit_info(container.pidfd)
        if code is not None:
            self.finish(container, code, now_ms())
            return
        self._loop.forget(container.pidfd)
        self._loop.call_later(
            _SUPERVISOR_S,
            lambda: self.finish(container, UNKNOWN_CODE, now_ms(), UNKNOWN_REASON) if container.running else None,
        )

    def finish(self, container: Container, code: int, at_ms: int, reason: str = "") -> None:
        if container.status >= 0:
            self._on_status(container)
        if container.state["host_pid"] or container.pidfd < 0:
            self._shared.cgroups.kill(container.id)
        if container.terminal >= 0:
            self._drain_terminal(container)
        container.drain(self._shared.spool)
        error = container.start_error
        if error is not None and error[1] == child.ABORTED:
            self._back_to_created(container)
            return
        container.state.update(
            {
                "state": EXITED,
                "pid": 0,
                "exit_code": error[0] if error else code,
                "reason": reason or self._derive_reason(container, code),
                "message": error[1] if error else container.read_message(),
                "finished_at_ms": max(at_ms, container.state["started_at_ms"]),
            }
        )
        self._shared.files.write_exited(container.state)
        if container.audience:
            container.audience.end(container.state["exit_code"])
        self._release(container)
        self._publish(container.state)
        self._call_starters(container)
        waiters, container.waiters = container.waiters, []
        for waiter in waiters:
            waiter(container)

    def _drain_terminal(self, container: Container) -> None:
        """Its processes are gone: what the kernel still has is the end. A stray that has it open is not waited for."""
        for _ in range(_TERMINAL_DRAIN_MAX):
            try:
                data = os.read(container.terminal, _TERMINAL_BYTES)
            except OSError:
                return
            if not data:
                return
            self._relay(container, data)
            self._tell(container, STDOUT, data)

    def _derive_reason(self, container: Container, code: int) -> str:
        if container.start_error is not None:
            return "StartError"
        return meaning.derive_reason(code, self._shared.cgroups.oom_kills(container.id))

    def _back_to_created(self, container: Container) -> None:
        container.start_error = None
        container.state.update({"state": CREATED, "pid": 0})
        self._shared.files.write_state(container.state)
        self._release(container, keep_cgroup=True)

    def _release(self, container: Container, *, keep_cgroup: bool = False) -> None:
        """Let go of a process that is on record as gone."""
        watched = (container.pidfd, container.status, container.input, container.terminal)
        for fd in (*watched, *(stream.fd for stream in container.streams)):
            if fd >= 0:
                self._loop.forget(fd)
        if container.terminal >= 0:
            os.close(container.input)
            os.close(container.relay)
        container.input = container.terminal = container.relay = -1
        if container.pidfd >= 0:
            exits.reap(container.pidfd)
        container.pidfd = container.status = -1
        container.streams = []
        container.log.close()
        self.drop(container.id)
        if not keep_cgroup:
            self._shared.cgroups.remove(container.id)

    def drop(self, container_id: str) -> None:
        self._shared.drop(container_id)
        self._tell_supervisor({"drop": container_id}, [])

    def kill(self, container: Container) -> None:
        if container.running:
            self.signal(container, signal.SIGKILL)
            self._shared.cgroups.kill(container.id)

    def signal(self, container: Container, number: int) -> None:
        try:
            signal.pidfd_send_signal(container.pidfd, number)
        except ProcessLookupError:
            return  # its exit is on the way to us

    def _call_starters(self, container: Container) -> None:
        starters, container.starters = container.starters, []
        for starter in starters:
            starter(container)


def now_ms() -> int:
    return time.time_ns() // 1_000_000

"""The containers of one node, as a worker runs them: create, start, stop, remove, and what happens at an exit.

    CREATED --start--> RUNNING --exit--> EXITED --remove--> gone
       ^                  |
       +----- aborted ----+   (the launcher died before the process was known)

Order is what survives a kill: the supervisor holds the descriptors before the state says RUNNING, the state says
RUNNING before the process may exec; the exit is on disk before the zombie is reaped and the descriptors dropped.
"""

from __future__ import annotations

import json
import os
import signal
import time
import traceback

from actors.plugins.runtime import exits as meaning
from actors.plugins.runtime.launcher import adopt, child, exits, privileges, protocol
from actors.plugins.runtime.launcher.container import (
    CREATED,
    ENDED,
    EXITED,
    MORE,
    RUNNING,
    WAITING,
    Container,
    Stream,
)
from actors.plugins.runtime.launcher.log_file import LogFile
from actors.plugins.runtime.launcher.loop import EDGE, HUP, IN, Loop, has_gone
from actors.plugins.runtime.launcher.shared import Hold, Shared
from actors.plugins.runtime.launcher.start import Refused, Started, launch, prepare
from actors.plugins.runtime.launcher.state import read_start_ticks

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from actors.plugins.runtime.launcher.plan import Plan, State

_PARTIAL_LINE_S = 1.0
#: How long to wait for the supervisor's word on an exit, where the kernel does not keep the code.
_SUPERVISOR_S = 1.0
_UNKNOWN_CODE, _UNKNOWN_REASON = 255, "ContainerStatusUnknown"


class Containers:
    """`publish` is called with the state at each start and exit."""

    def __init__(self, shared: Shared, loop: Loop, supervisor: socket.socket, publish: Callable[[State], None]) -> None:
        self._shared, self._loop, self._supervisor, self._publish = shared, loop, supervisor, publish
        self.by_id: dict[str, Container] = {}
        self._last_capability = privileges.read_last_capability()
        self._permitted = privileges.read_permitted()

    # Taking over what a worker before left

    def adopt_all(self) -> None:
        self._shared.spool.recover(self._open_log_of)
        for container_id in self._shared.files.ids():
            state = self._shared.files.read_state(container_id)
            if state is None:
                continue
            self.by_id[container_id] = container = Container(state)
            if container.running:
                self._try_adopt(container)
        for container_id in [name for name in self._shared.holds if not self._is_running(name)]:
            self._drop(container_id)

    def _try_adopt(self, container: Container) -> None:
        """One that cannot be taken over must not take the others with it."""
        try:
            self._adopt(container)
        except OSError:
            traceback.print_exc()
            container.state.update(
                {
                    "state": EXITED,
                    "pid": 0,
                    "exit_code": _UNKNOWN_CODE,
                    "reason": _UNKNOWN_REASON,
                    "finished_at_ms": _now_ms(),
                }
            )

    def _adopt(self, container: Container) -> None:
        known_exit = self._shared.exits.get(container.id) or self._shared.files.read_exit(container.id)
        hold = self._shared.holds.get(container.id)
        if hold is None:
            hold = adopt.find_hold(container.state, self._shared.cgroups)
            if hold is not None:
                self._register(container.id, hold)
        if hold is not None:
            self._watch(container, hold)
        if known_exit is not None:
            self._finish(container, *known_exit)
        elif hold is None:
            self._finish(container, _UNKNOWN_CODE, _now_ms(), _UNKNOWN_REASON)

    def _open_log_of(self, container_id: str) -> LogFile | None:
        state = self._shared.files.read_state(container_id)
        if state is None:
            return None
        container = Container(state)
        container.open_log()
        return container.log

    def _is_running(self, container_id: str) -> bool:
        container = self.by_id.get(container_id)
        return container is not None and container.running

    # Verbs

    def create(self, plan: Plan) -> State:
        known = self.by_id.get(plan["id"])
        if known is not None:
            return known.state
        try:
            return self._create(plan)
        except BaseException:
            self._shared.cgroups.remove(plan["id"])
            self._shared.files.forget(plan["id"])
            raise

    def _create(self, plan: Plan) -> State:
        self._shared.files.make_directories(plan["id"])
        fd = os.open(plan["termination_file"], os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC)
        os.fchmod(fd, 0o666)
        os.close(fd)
        prepared = prepare(plan, self._shared.layout)
        state: State = {
            "id": plan["id"],
            "sandbox": plan["sandbox"],
            "state": CREATED,
            "created_at_ms": _now_ms(),
            "log": plan["log"],
            "stop_signal": plan["stop_signal"],
            "termination_file": plan["termination_file"],
            "host_pid": plan["host_pid"],
        }
        try:
            self._shared.cgroups.create(plan["id"], plan)
            self._shared.files.write_plan(plan)
            self._shared.files.write_state(state)
        except BaseException:
            prepared.close()
            raise
        container = self.by_id[plan["id"]] = Container(state)
        container.prepared = prepared
        return state

    def start(self, container_id: str, then: Callable[[Container], None]) -> None:
        """`then` is called once its process runs, or has failed to."""
        container = self.find(container_id)
        if container.starters:
            container.starters.append(then)
            return
        if container.state["state"] != CREATED:
            then(container)
            return
        started = self._launch(container)
        hold = Hold(started.pid, started.pidfd, started.stdout, started.stderr, started.status)
        self._register(container_id, hold)
        container.starters.append(then)
        container.state.update(
            {
                "state": RUNNING,
                "pid": started.pid,
                "pipes": started.pipes,
                "start_ticks": read_start_ticks(started.pid),
                "started_at_ms": _now_ms(),
            }
        )
        self._watch(container, hold)
        try:
            self._shared.files.write_state(container.state)
            os.write(started.go, b"1")
        except BrokenPipeError:
            pass  # it has failed already, and said why
        finally:
            os.close(started.go)  # unwritten, it aborts the child

    def _launch(self, container: Container) -> Started:
        container.open_log()
        prepared, container.prepared = container.prepared, None
        if prepared is None:
            plan = self._shared.files.read_plan(container.id)
            if plan is None:
                raise Refused("RunContainerError", f"the plan of container {container.id!r} is lost: remove it")
            prepared = prepare(plan, self._shared.layout)
        staging = self._shared.layout.staging
        return launch(prepared, self._shared.cgroups, staging, self._last_capability, self._permitted)

    def stop(self, container_id: str, grace_ms: int, then: Callable[[Container], None]) -> None:
        """`then` is called once it has exited; at once when it does not run."""
        container = self.by_id.get(container_id)
        if container is None or not container.running:
            if container is not None:
                then(container)
            return
        container.waiters.append(then)
        if grace_ms <= 0:
            self.kill(container)
            return
        self._signal(container, container.state["stop_signal"])
        self._loop.call_later(grace_ms / 1000, lambda: self.kill(container))

    def kill(self, container: Container) -> None:
        if container.running:
            self._signal(container, signal.SIGKILL)
            self._shared.cgroups.kill(container.id)

    def _signal(self, container: Container, number: int) -> None:
        try:
            signal.pidfd_send_signal(container.pidfd, number)
        except ProcessLookupError:
            return  # its exit is on the way to us

    def remove(self, container_id: str, then: Callable[[], None]) -> None:
        """Forget it; its files are left to somebody with time to delete them."""
        container = self.by_id.get(container_id)
        if container is None:
            then()
        elif container.running:
            self.stop(container_id, 0, lambda container: self.remove(container.id, then))
        else:
            self._forget(container)
            then()

    def of_sandbox(self, sandbox_id: str) -> list[Container]:
        return [container for container in self.by_id.values() if container.state["sandbox"] == sandbox_id]

    def find(self, container_id: str) -> Container:
        container = self.by_id.get(container_id)
        if container is None:
            raise Refused("NotFound", f"there is no container {container_id!r} on this node")
        return container

    def any_running(self) -> bool:
        return any(container.running for container in self.by_id.values())

    def exited_by_supervisor(self, container_id: str, code: int, at_ms: int) -> None:
        container = self.by_id.get(container_id)
        if container is not None and container.running:
            self._finish(container, code, at_ms)

    # Events of a running container

    def _register(self, container_id: str, hold: Hold) -> None:
        self._shared.holds[container_id] = hold
        places = {"pidfd": hold.pidfd, "stdout": hold.stdout, "stderr": hold.stderr, "status": hold.status}
        names = [name for name, fd in places.items() if fd >= 0]
        self._tell_supervisor({"hold": container_id, "pid": hold.pid, "names": names}, hold.fds())

    def _tell_supervisor(self, message: dict[str, object], fds: list[int]) -> None:
        """A supervisor that has died is replaced by this very process: then nobody needs to know."""
        try:
            protocol.send(self._supervisor, message, fds)
        except OSError:
            return

    def _watch(self, container: Container, hold: Hold) -> None:
        container.pidfd, container.status = hold.pidfd, hold.status
        if container.log.path == "":
            container.open_log()
        for fd, name in ((hold.stdout, "stdout"), (hold.stderr, "stderr")):
            if fd >= 0:
                stream = Stream(fd, name)
                container.streams.append(stream)
                self._loop.watch(fd, lambda _, stream=stream: self._on_output(container, stream), IN | EDGE)  # type: ignore[misc]
        if hold.status >= 0:
            self._loop.watch(hold.status, lambda _: self._on_status(container))
        self._loop.watch(hold.pidfd, lambda events: self._on_process(container, events))

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
            self._loop.call_later(_PARTIAL_LINE_S, lambda: self._on_partial_line(container, stream))

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
            self._finish(container, code, _now_ms())

    def _ask_others(self, container: Container, events: int) -> None:
        """The process is not our child: the supervisor reaps it and tells, or the kernel does once it is reaped."""
        if not has_gone(events):
            self._loop.change(container.pidfd, HUP)
            return
        code = exits.read_exit_info(container.pidfd)
        if code is not None:
            self._finish(container, code, _now_ms())
            return
        self._loop.forget(container.pidfd)
        self._loop.call_later(
            _SUPERVISOR_S,
            lambda: self._finish(container, _UNKNOWN_CODE, _now_ms(), _UNKNOWN_REASON) if container.running else None,
        )

    def _finish(self, container: Container, code: int, at_ms: int, reason: str = "") -> None:
        if container.status >= 0:
            self._on_status(container)
        if container.state["host_pid"] or container.pidfd < 0:
            self._shared.cgroups.kill(container.id)
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
        self._release(container)
        self._publish(container.state)
        self._call_starters(container)
        waiters, container.waiters = container.waiters, []
        for waiter in waiters:
            waiter(container)

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
        for fd in (container.pidfd, container.status, *(stream.fd for stream in container.streams)):
            if fd >= 0:
                self._loop.forget(fd)
        if container.pidfd >= 0:
            exits.reap(container.pidfd)
        container.pidfd = container.status = -1
        container.streams = []
        container.log.close()
        self._drop(container.id)
        if not keep_cgroup:
            self._shared.cgroups.remove(container.id)

    def _drop(self, container_id: str) -> None:
        self._shared.drop(container_id)
        self._tell_supervisor({"drop": container_id}, [])

    def _forget(self, container: Container) -> None:
        if container.prepared is not None:
            container.prepared.close()
        self._shared.cgroups.remove(container.id)
        self._shared.files.forget(container.id)
        del self.by_id[container.id]

    def _call_starters(self, container: Container) -> None:
        starters, container.starters = container.starters, []
        for starter in starters:
            starter(container)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000

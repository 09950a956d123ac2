"""The containers of one node, as a worker runs them: adopt, create, start, stop, remove.

    CREATED --start--> RUNNING --exit--> EXITED --remove--> gone
       ^                  |
       +----- aborted ----+   (the launcher died before the process was known)

Order is what survives a kill: the supervisor holds the descriptors before the state says RUNNING, the state says
RUNNING before the process may exec.
"""

from __future__ import annotations

import os
import socket
import traceback

from actors.plugins.runtime.errors import UNKNOWN_CODE, UNKNOWN_REASON
from actors.plugins.runtime.launcher import adopt, execution, privileges, protocol, users
from actors.plugins.runtime.launcher.attendant import Attendant, now_ms
from actors.plugins.runtime.launcher.container import CREATED, EXITED, RUNNING, Container
from actors.plugins.runtime.launcher.log_file import LogFile
from actors.plugins.runtime.launcher.loop import Loop
from actors.plugins.runtime.launcher.shared import Hold, Shared
from actors.plugins.runtime.launcher.start import Refused, Started, launch, prepare
from actors.plugins.runtime.launcher.state import read_start_ticks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.plugins.runtime.launcher.plan import Plan, Resources, State


class Containers:
    def __init__(self, shared: Shared, loop: Loop, attendant: Attendant) -> None:
        self._shared, self._loop, self._attendant = shared, loop, attendant
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
            self._attendant.drop(container_id)

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
                    "exit_code": UNKNOWN_CODE,
                    "reason": UNKNOWN_REASON,
                    "finished_at_ms": now_ms(),
                }
            )

    def _adopt(self, container: Container) -> None:
        known_exit = self._shared.exits.get(container.id) or self._shared.files.read_exit(container.id)
        hold = self._shared.holds.get(container.id)
        if hold is None:
            hold = adopt.find_hold(container.state, self._shared.cgroups)
            if hold is not None:
                self._attendant.register(container.id, hold)
        if hold is not None:
            self._attendant.watch(container, hold)
        if known_exit is not None:
            self._attendant.finish(container, *known_exit)
        elif hold is None:
            self._attendant.finish(container, UNKNOWN_CODE, now_ms(), UNKNOWN_REASON)

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
            "created_at_ms": now_ms(),
            "log": plan["log"],
            "stop_signal": plan["stop_signal"],
            "termination_file": plan["termination_file"],
            "host_pid": plan["host_pid"] or bool(plan["target"]),
            "user": (prepared.user.uid, prepared.user.gid, prepared.user.groups, prepared.user.home),
            "stdin_once": plan["stdin_once"],
            "tty": plan["tty"],
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
        container.starters.append(then)
        if started.console is None:
            self._begin(container, started)
        else:
            self._await_terminal(container, started, started.console)

    def _await_terminal(self, container: Container, started: Started, console: socket.socket) -> None:
        """The process opens it within its new root, and sends the master; or says on its status pipe why it cannot."""

        def come() -> None:
            received = protocol.receive(console)
            self._loop.forget(console.fileno())
            console.close()
            started.stdin = received[1][0] if received else -1
            self._begin(container, started)

        self._loop.watch(console.fileno(), lambda _: come())

    def _begin(self, container: Container, started: Started) -> None:
        """The process is prepared: write down whose it is, then let it go on."""
        hold = Hold(started.pid, started.pidfd, started.stdout, started.stderr, started.status, started.stdin)
        self._attendant.register(container.id, hold)
        container.state.update(
            {
                "state": RUNNING,
                "pid": started.pid,
                "pipes": started.pipes,
                "start_ticks": read_start_ticks(started.pid),
                "started_at_ms": now_ms(),
            }
        )
        self._attendant.watch(container, hold)
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
        try:
            target = self._find_target(prepared.plan)
        except Refused:
            container.prepared = prepared
            raise
        return launch(prepared, self._shared.cgroups, staging, self._last_capability, self._permitted, target)

    def _find_target(self, plan: Plan) -> int:
        """The pidfd of the container whose PID namespace this one enters; -1 for none. Raises Refused."""
        if not plan.get("target"):
            return -1
        target = self.by_id.get(plan["target"])
        if target is None or not target.running or target.pidfd < 0:
            raise Refused("RunContainerError", f"the target container {plan['target']!r} does not run", retryable=True)
        return target.pidfd

    def resize(self, container_id: str, resources: Resources) -> State:
        """Other limits for a container that runs. Raises Refused, OSError."""
        container = self.find(container_id)
        plan = self._shared.files.read_plan(container_id)
        if not container.running or plan is None:
            raise Refused("NotRunning", f"container {container_id!r} is not running")
        self._shared.cgroups.change_limits(container_id, resources)
        plan["resources"] = resources
        self._shared.files.write_plan(plan)
        return container.state

    def exec(self, container_id: str, argv: list[str], fds: dict[str, int]) -> None:
        """Begin a further process in it; the rest is told on `fds["control"]`. See `execution`."""
        container = self.find(container_id)
        plan = self._shared.files.read_plan(container_id)
        if not container.running or container.starters or container.pidfd < 0 or plan is None:
            raise Refused("NotRunning", f"container {container_id!r} is not running")
        job = execution.Job()
        job.plan, job.argv, job.fds, job.pidfd = plan, argv, fds, container.pidfd
        job.user = users.User(*container.state["user"])
        job.cgroups = self._shared.cgroups
        job.last_capability, job.permitted = self._last_capability, self._permitted
        execution.begin(job)

    def attach(self, container_id: str, fd: int, speaks: bool) -> None:
        """See `audience`. Raises Refused."""
        container = self.find(container_id)
        if not container.running or container.audience is None:
            raise Refused("NotRunning", f"container {container_id!r} is not running")
        container.audience.join(fd, speaks)

    def stop(self, container_id: str, grace_ms: int, then: Callable[[Container], None]) -> None:
        """`then` is called once it has exited; at once when it does not run."""
        container = self.by_id.get(container_id)
        if container is not None and container.starters and not container.running:
            container.starters.append(lambda container: self.stop(container_id, grace_ms, then))
            return
        if container is None or not container.running:
            if container is not None:
                then(container)
            return
        container.waiters.append(then)
        if grace_ms <= 0:
            self._attendant.kill(container)
            return
        self._attendant.signal(container, container.state["stop_signal"])
        self._loop.call_later(grace_ms / 1000, lambda: self._attendant.kill(container))

    def remove(self, container_id: str, then: Callable[[], None]) -> None:
        """Forget it; its files are left to somebody with time to delete them."""
        container = self.by_id.get(container_id)
        if container is None:
            then()
        elif container.starters and not container.running:
            container.starters.append(lambda container: self.remove(container.id, then))
        elif container.running:
            self.stop(container_id, 0, lambda container: self.remove(container.id, then))
        else:
            self._forget(container)
            then()

    def let_go(self) -> None:
        """Of what only a worker has, for this process will be none any more."""
        for container in self.by_id.values():
            if container.audience is not None:
                container.audience.hang_up()
            if container.terminal >= 0:
                os.close(container.input)
                os.close(container.relay)

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
            self._attendant.finish(container, code, at_ms)

    def _forget(self, container: Container) -> None:
        if container.prepared is not None:
            container.prepared.close()
        self._shared.cgroups.remove(container.id)
        self._shared.files.forget(container.id)
        del self.by_id[container.id]

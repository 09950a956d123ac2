"""A runtime in memory: every container does what its `Script` says, at the clock it is given.

A `FakeMachine` is the node that outlives any `FakeRuntime` over it. Nothing happens by itself: a container whose
script runs for a while exits at the first call (or `tick`) at which the clock has reached its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import msgspec

from actors.api.clock import Millis, format_time
from actors.plugins.errors import PluginError
from actors.plugins.image.port import ImagePort
from actors.plugins.network.port import Attachment, NetworkPort
from actors.plugins.runtime.errors import check_id, not_found, runtime_error
from actors.plugins.runtime.exits import derive_reason
from actors.plugins.runtime.fake_streams import FakeConnection, FakeProcess
from actors.plugins.runtime.image_config import merge_argv, merge_user
from actors.plugins.runtime.port import (
    Connection,
    ContainerSpec,
    ContainerState,
    ContainerStats,
    ContainerStatus,
    ExecResult,
    ExecSpec,
    Resources,
    Sandbox,
    SandboxSpec,
    SandboxState,
    Streams,
)
from actors.plugins.runtime.streaming import run_to_end

FOREVER = -1


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """What a container does: print, run for `run_ms` (FOREVER: until stopped), exit. `start_error`: 127 or 126
    instead of running. `ignores_stop`: only SIGKILL ends it. `echo`: after printing it says its input back."""

    exit_code: int = 0
    run_ms: Millis = 0
    stdout: tuple[str, ...] = ()
    stderr: tuple[str, ...] = ()
    message: str = ""
    oom: bool = False
    start_error: int = 0
    ignores_stop: bool = False
    memory_bytes: int = 1 << 20
    echo: bool = False


Scripts = Callable[[ContainerSpec], Script]
Execs = Callable[[ContainerSpec, ExecSpec], Script]
Faults = Callable[[str, str], PluginError | None]


class FakeMachine:
    """The node's state: sandboxes, containers, logs (path -> CRI lines) and the subscribers to its events."""

    def __init__(self) -> None:
        self.sandboxes: dict[str, Sandbox] = {}
        self.containers: dict[str, ContainerStatus] = {}
        self.logs: dict[str, bytes] = {}
        self.subscribers: list[asyncio.Queue[ContainerStatus]] = []
        self.pids = 0
        #: (sandbox, port) at which somebody listens, and says back what it is told.
        self.listening: set[tuple[str, int]] = set()
        self.attached: dict[str, list[FakeProcess]] = {}


class FakeRuntime:
    """RuntimePort. `scripts` decides what each container does; `faults(verb, id)` makes a call fail instead.

    `write_log(path, bytes)` receives each log line; without it they are in `machine.logs`.
    """

    def __init__(
        self,
        machine: FakeMachine,
        images: ImagePort,
        network: NetworkPort,
        clock: Callable[[], Millis],
        scripts: Scripts = lambda spec: Script(),
        faults: Faults = lambda verb, name: None,
        write_log: Callable[[str, bytes], None] | None = None,
        execs: Execs = lambda spec, asked: Script(),
    ) -> None:
        self.machine, self._images, self._network, self._clock = machine, images, network, clock
        self._scripts, self._faults = scripts, faults
        self._write_log, self._execs = write_log or self._keep_log, execs

    # Sandboxes

    async def run_pod_sandbox(self, spec: SandboxSpec) -> Sandbox:
        self._enter("run_pod_sandbox", spec.id)
        known = self.machine.sandboxes.get(spec.id)
        if known is not None:
            return known
        ips: tuple[str, ...] = ()
        if not spec.host_network:
            ips = (await self._network.add(_attachment(spec))).ips
        sandbox = Sandbox(spec=spec, state=SandboxState.READY, ips=ips, created_at_ms=self._clock())
        self.machine.sandboxes[spec.id] = sandbox
        return sandbox

    async def stop_pod_sandbox(self, sandbox_id: str) -> None:
        self._enter("stop_pod_sandbox", sandbox_id)
        sandbox = self.machine.sandboxes.get(sandbox_id)
        if sandbox is None:
            return
        for status in self._of_sandbox(sandbox_id):
            if status.state is ContainerState.RUNNING:
                self._finish(status, 137)
        if not sandbox.spec.host_network:
            await self._network.delete(_attachment(sandbox.spec))
        self.machine.sandboxes[sandbox_id] = msgspec.structs.replace(sandbox, state=SandboxState.NOT_READY)

    async def remove_pod_sandbox(self, sandbox_id: str) -> None:
        self._enter("remove_pod_sandbox", sandbox_id)
        if sandbox_id not in self.machine.sandboxes:
            return
        await self.stop_pod_sandbox(sandbox_id)
        for status in self._of_sandbox(sandbox_id):
            await self.remove_container(status.spec.id)
        self.machine.sandboxes.pop(sandbox_id, None)

    async def list_pod_sandboxes(self) -> list[Sandbox]:
        self._enter("list_pod_sandboxes", "")
        return [self.machine.sandboxes[name] for name in sorted(self.machine.sandboxes)]

    # Containers

    async def create_container(self, spec: ContainerSpec) -> ContainerStatus:
        self._enter("create_container", spec.id)
        known = self.machine.containers.get(spec.id)
        if known is not None:
            return known
        sandbox = self.machine.sandboxes.get(spec.sandbox_id)
        if sandbox is None or sandbox.state is not SandboxState.READY:
            raise runtime_error("create_container", "CreateContainerError", f"sandbox {spec.sandbox_id!r} is not ready")
        await self._check_image(spec)
        status = ContainerStatus(spec=spec, state=ContainerState.CREATED, created_at_ms=self._clock())
        self.machine.containers[spec.id] = status
        return status

    async def start_container(self, container_id: str) -> ContainerStatus:
        self._enter("start_container", container_id)
        status = self._find("start_container", container_id)
        if status.state is not ContainerState.CREATED:
            return status
        target = self.machine.containers.get(status.spec.target_id)
        if status.spec.target_id and (target is None or target.state is not ContainerState.RUNNING):
            words = f"the target container {status.spec.target_id!r} does not run"
            raise runtime_error("start_container", "RunContainerError", words)
        script = self._scripts(status.spec)
        if script.start_error:
            self._fail_start(status, script.start_error)
        self.machine.pids += 1
        running = msgspec.structs.replace(
            status, state=ContainerState.RUNNING, pid=self.machine.pids, started_at_ms=self._clock()
        )
        self._publish(running)
        self._print(running, script)
        self.tick()
        return self.machine.containers[container_id]

    async def stop_container(self, container_id: str, grace_ms: int) -> None:
        self._enter("stop_container", container_id)
        status = self.machine.containers.get(container_id)
        if status is None or status.state is not ContainerState.RUNNING:
            return
        self._finish(status, 137 if self._scripts(status.spec).ignores_stop else 143)

    async def remove_container(self, container_id: str) -> None:
        self._enter("remove_container", container_id)
        status = self.machine.containers.get(container_id)
        if status is None:
            return
        if status.state is ContainerState.RUNNING:
            self._finish(status, 137)
        await self._images.release(status.spec.image, container_id)
        self.machine.containers.pop(container_id, None)

    async def update_container(
        self, container_id: str, resources: Resources, labels: Mapping[str, str]
    ) -> ContainerStatus:
        self._enter("update_container", container_id)
        status = self._find("update_container", container_id)
        if status.state is not ContainerState.RUNNING:
            words = f"container {container_id!r} is not running"
            raise runtime_error("update_container", "NotRunning", words, retryable=False)
        held, limit = self._scripts(status.spec).memory_bytes, resources.memory_limit_bytes
        if limit and held > limit:
            words = f"attempting to set memory limit ({limit}) below current usage ({held})"
            raise runtime_error("update_container", "UpdateError", words)
        resources = msgspec.structs.replace(resources, pids_max=status.spec.resources.pids_max)
        spec = msgspec.structs.replace(status.spec, resources=resources, labels={**status.spec.labels, **labels})
        updated = self.machine.containers[container_id] = msgspec.structs.replace(status, spec=spec)
        return updated

    async def container_status(self, container_id: str) -> ContainerStatus:
        self._enter("container_status", container_id)
        return self._find("container_status", container_id)

    async def list_containers(self) -> list[ContainerStatus]:
        self._enter("list_containers", "")
        return [self.machine.containers[name] for name in sorted(self.machine.containers)]

    async def list_container_stats(self) -> list[ContainerStats]:
        """One CPU is always busy, and memory is what the script says."""
        now = self._clock()
        return [
            ContainerStats(
                id=status.spec.id,
                at_ms=now,
                cpu_ns=max(now - status.started_at_ms, 0) * 1_000_000,
                memory_bytes=self._scripts(status.spec).memory_bytes,
            )
            for status in await self.list_containers()
            if status.state is ContainerState.RUNNING
        ]

    # Streams

    async def exec(self, spec: ExecSpec) -> Streams:
        return self._start_process("exec", spec)

    async def exec_sync(self, spec: ExecSpec, timeout_ms: int, output_bytes_max: int = 16 << 20) -> ExecResult:
        return await run_to_end(self._start_process("exec_sync", spec), timeout_ms, output_bytes_max)

    def _start_process(self, verb: str, spec: ExecSpec) -> FakeProcess:
        self._enter(verb, spec.container_id)
        status = self._find(verb, spec.container_id)
        if status.state is not ContainerState.RUNNING:
            raise runtime_error(verb, "NotRunning", f"container {spec.container_id!r} is not running", retryable=False)
        script = self._execs(status.spec, spec)
        if script.start_error:
            words = f'exec: "{spec.command[0]}": executable file not found in $PATH'
            raise runtime_error(verb, "ExecError", words, retryable=False, exit_code=script.start_error)
        return FakeProcess(script, stdin=spec.stdin, tty=spec.tty, forever=script.run_ms == FOREVER)

    async def attach(self, container_id: str, *, stdin: bool = False) -> Streams:
        self._enter("attach", container_id)
        status = self._find("attach", container_id)
        if status.state is not ContainerState.RUNNING:
            raise runtime_error("attach", "NotRunning", f"container {container_id!r} is not running", retryable=False)
        spec = status.spec
        script = Script(echo=self._scripts(spec).echo)
        viewer = FakeProcess(script, stdin=stdin and (spec.stdin or spec.tty), tty=spec.tty, forever=True)
        self.machine.attached.setdefault(container_id, []).append(viewer)
        return viewer

    async def port_forward(self, sandbox_id: str, port: int, address: str = "") -> Connection:
        self._enter("port_forward", sandbox_id)
        sandbox = self.machine.sandboxes.get(sandbox_id)
        if sandbox is None or sandbox.state is not SandboxState.READY:
            raise not_found("port_forward", "sandbox", sandbox_id)
        if (sandbox_id, port) not in self.machine.listening:
            words = f"dial tcp {address or '127.0.0.1'}:{port}: connect: connection refused"
            raise runtime_error("port_forward", "ConnectionRefused", words, retryable=False)
        return FakeConnection()

    async def events(self) -> AsyncIterator[ContainerStatus]:
        queue: asyncio.Queue[ContainerStatus] = asyncio.Queue()
        self.machine.subscribers.append(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self.machine.subscribers.remove(queue)

    async def close(self) -> None:
        """Nothing to let go of: the machine goes on."""

    # What tests and the simulator do to it

    def tick(self) -> None:
        """Let every container whose script has run its time exit."""
        now = self._clock()
        for name in sorted(self.machine.containers):
            status = self.machine.containers[name]
            script = self._scripts(status.spec)
            if status.state is not ContainerState.RUNNING or script.run_ms == FOREVER:
                continue
            if status.started_at_ms + script.run_ms <= now:
                self.end_script(name)

    def end_script(self, container_id: str) -> None:
        """Its script has run its time, whatever the clock says."""
        status = self.machine.containers[container_id]
        script = self._scripts(status.spec)
        self._finish(status, 137 if script.oom else script.exit_code)

    def exit_container(self, container_id: str, exit_code: int) -> None:
        """End a running container now, whatever its script says."""
        self._finish(self.machine.containers[container_id], exit_code)

    # Parts

    def _enter(self, verb: str, name: str) -> None:
        fault = self._faults(verb, name)
        if fault is not None:
            raise fault
        if verb.startswith(("run_", "create_")):
            check_id(verb, name)
        self.tick()

    def _find(self, verb: str, container_id: str) -> ContainerStatus:
        status = self.machine.containers.get(container_id)
        if status is None:
            raise not_found(verb, "container", container_id)
        return status

    def _of_sandbox(self, sandbox_id: str) -> list[ContainerStatus]:
        return [status for status in self.machine.containers.values() if status.spec.sandbox_id == sandbox_id]

    async def _check_image(self, spec: ContainerSpec) -> None:
        image = await self._images.image_status(spec.image)
        if image is None:
            raise runtime_error("create_container", "CreateContainerError", f"image {spec.image!r} is not on this node")
        if not merge_argv(spec, image.config):
            raise _config_error("no command specified: the image has none, give the container a command")
        if spec.security.run_as_non_root and spec.security.uid == 0:
            raise _config_error("container's runAsUser breaks non-root policy")
        if spec.security.run_as_non_root and merge_user(spec, image.config).partition(":")[0] in ("0", "root"):
            raise _config_error("container has runAsNonRoot and image will run as root")
        await self._images.rootfs(image.id, spec.id)

    def _fail_start(self, status: ContainerStatus, code: int) -> None:
        problem = "no such file or directory" if code == 127 else "permission denied"
        command = status.spec.command[0] if status.spec.command else "entrypoint"
        message = f'exec: "{command}": {problem}'
        now = self._clock()
        self._publish(
            msgspec.structs.replace(
                status,
                state=ContainerState.EXITED,
                exit_code=code,
                reason="StartError",
                message=message,
                finished_at_ms=now,
            )
        )
        raise runtime_error("start_container", "RunContainerError", message, retryable=False)

    def _finish(self, status: ContainerStatus, exit_code: int) -> None:
        """And those that are in its PID namespace."""
        if self.machine.containers[status.spec.id].state is ContainerState.EXITED:
            return
        script = self._scripts(status.spec)
        for viewer in self.machine.attached.pop(status.spec.id, ()):
            viewer.end(exit_code)
        self._publish(
            msgspec.structs.replace(
                status,
                state=ContainerState.EXITED,
                pid=0,
                exit_code=exit_code,
                reason=derive_reason(exit_code, int(script.oom)),
                message=script.message,
                finished_at_ms=self._clock(),
            )
        )
        for guest in self._of_sandbox(status.spec.sandbox_id):
            if guest.spec.target_id == status.spec.id and guest.state is ContainerState.RUNNING:
                self._finish(guest, 137)

    def _publish(self, status: ContainerStatus) -> None:
        self.machine.containers[status.spec.id] = status
        for queue in self.machine.subscribers:
            queue.put_nowait(status)

    def _print(self, status: ContainerStatus, script: Script) -> None:
        stamp = format_time(status.started_at_ms)
        streams: Mapping[str, tuple[str, ...]] = {"stdout": script.stdout, "stderr": script.stderr}
        for stream, lines in streams.items():
            for line in lines:
                if status.spec.log_path:
                    self._write_log(status.spec.log_path, f"{stamp} {stream} F {line}\n".encode())

    def _keep_log(self, path: str, line: bytes) -> None:
        self.machine.logs[path] = self.machine.logs.get(path, b"") + line


def _config_error(message: str) -> PluginError:
    return runtime_error("create_container", "CreateContainerConfigError", message, retryable=False)


def _attachment(spec: SandboxSpec) -> Attachment:
    return Attachment(
        sandbox_id=spec.id,
        netns_path=f"/fake/{spec.id}",
        pod_namespace=spec.pod_namespace,
        pod_name=spec.pod_name,
        ports=spec.ports,
    )

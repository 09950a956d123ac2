"""The native runtime: Linux containers through a launcher of its own. Runs in the nodelet, and keeps nothing there.

Specs, states, exit codes and logs are under `root` on disk; namespaces are bind mounts, processes are the launcher's.
Killing the nodelet changes nothing for a container: the next instance lists and finds everything.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

import msgspec

from actors.api.clock import Millis
from actors.plugins.errors import PluginError
from actors.plugins.image.port import ImageConfig, ImagePort
from actors.plugins.network.port import Attachment, NetworkPort, NetworkResult
from actors.plugins.runtime.attachment import join_container
from actors.plugins.runtime.client import LauncherClient
from actors.plugins.runtime.errors import UNKNOWN_CODE, UNKNOWN_REASON, check_id, not_found, runtime_error
from actors.plugins.runtime.execution import NativeProcess, start_process
from actors.plugins.runtime.forwarding import connect
from actors.plugins.runtime.host import delete_all, read_node, write_etc
from actors.plugins.runtime.layout import Layout
from actors.plugins.runtime.planning import derive_hostname, derive_namespaces, plan_container, plan_resources
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
from actors.plugins.runtime.records import Records, SandboxProgress, SandboxRecord
from actors.plugins.runtime.spawn import derive_cgroup
from actors.plugins.runtime.stats import read_stats
from actors.plugins.runtime.streaming import run_to_end


class NativeRuntime:
    """RuntimePort over `root`, the node's state directory. `hidden_paths` of the host are invisible to containers of
    the host image; `root` (and the RAYPOD_HOME it lies in) always is.
    """

    def __init__(
        self,
        root: Path,
        images: ImagePort,
        network: NetworkPort,
        clock: Callable[[], Millis],
        hidden_paths: tuple[str, ...] = (),
    ) -> None:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._layout = Layout(str(root.resolve()))
        self._images, self._network, self._clock = images, network, clock
        self._cgroup = derive_cgroup(self._layout.root)
        self._records = Records(self._layout)
        self._node = read_node((_home_of(Path(self._layout.root)), *hidden_paths))
        self._subscribers: list[asyncio.Queue[ContainerStatus]] = []
        self._launcher = LauncherClient(self._layout.root, self._on_event, self._on_reconnect)
        self._tasks: set[asyncio.Task[None]] = set()
        self._locks: dict[str, asyncio.Lock] = {}
        self._deleting = threading.Lock()

    # Sandboxes

    async def run_pod_sandbox(self, spec: SandboxSpec) -> Sandbox:
        check_id("run_pod_sandbox", spec.id)
        async with self._lock(spec.id):
            record = self._records.read_sandbox(spec.id)
            if record is None:
                record = SandboxRecord(spec=spec, created_at_ms=self._clock())
                self._records.write_sandbox(record)
            progress = self._records.read_progress(spec.id)
            if progress is None or not progress.ready:
                await self._make_sandbox(record.spec)
            return self._records.format_sandbox(record)

    async def _make_sandbox(self, spec: SandboxSpec) -> None:
        hostname = derive_hostname(spec, self._node)
        kinds = derive_namespaces(spec)
        verb = "make_sandbox"
        await self._call("run_pod_sandbox", verb, id=spec.id, kinds=kinds, hostname=hostname, sysctls=spec.sysctls)
        result = NetworkResult(ips=())
        if not spec.host_network:
            result = await self._network.add(self._attachment(spec))
        write_etc(self._layout.sandbox_mem(spec.id), spec, hostname, result)
        self._records.write_progress(spec.id, SandboxProgress(ips=result.ips, ready=True))

    async def stop_pod_sandbox(self, sandbox_id: str) -> None:
        async with self._lock(sandbox_id):
            await self._stop_sandbox("stop_pod_sandbox", sandbox_id)

    async def _stop_sandbox(self, verb: str, sandbox_id: str) -> None:
        """After a reboot there is no progress, but the network may still hold the sandbox's address."""
        record, progress = self._records.read_sandbox(sandbox_id), self._records.read_progress(sandbox_id)
        if record is None or (progress is not None and progress.stopped):
            return
        await self._call(verb, "stop_sandbox", id=sandbox_id)
        if not record.spec.host_network:
            await self._network.delete(self._attachment(record.spec))
        if progress is not None:
            self._records.write_progress(sandbox_id, msgspec.structs.replace(progress, stopped=True))

    async def remove_pod_sandbox(self, sandbox_id: str) -> None:
        verb = "remove_pod_sandbox"
        async with self._lock(sandbox_id):
            record = self._records.read_sandbox(sandbox_id)
            if record is None:
                return
            await self._call(verb, "remove_sandbox", id=sandbox_id)
            if not record.spec.host_network:
                await self._network.delete(self._attachment(record.spec))
            for spec in self._records.list_containers():
                if spec.sandbox_id == sandbox_id:
                    await self._discard(spec)
            self._records.discard_sandbox(sandbox_id)
        self._locks.pop(sandbox_id, None)
        self._empty_trash()

    async def list_pod_sandboxes(self) -> list[Sandbox]:
        return self._records.list_sandboxes()

    # Containers

    async def create_container(self, spec: ContainerSpec) -> ContainerStatus:
        verb = "create_container"
        check_id(verb, spec.id)
        async with self._lock(spec.id):
            known = self._records.read_container(spec.id)
            if known is not None:
                state = await self._find_state(verb, spec.id)
                if state is not None:
                    return _format_status(known, state)
            sandbox = self._records.read_sandbox(spec.sandbox_id)
            if sandbox is None or self._records.format_sandbox(sandbox).state is not SandboxState.READY:
                raise runtime_error(verb, "CreateContainerError", f"sandbox {spec.sandbox_id!r} is not ready")
            image = await self._images.image_status(spec.image)
            if image is None:
                raise runtime_error(verb, "CreateContainerError", f"image {spec.image!r} is not on this node")
            rootfs = await self._images.rootfs(image.id, spec.id)
            try:
                return await self._create(spec, sandbox.spec, image.config, rootfs.layers)
            except BaseException:
                self._records.discard_container(spec.id)
                await self._images.release(image.id, spec.id)
                raise

    async def _create(
        self, spec: ContainerSpec, sandbox: SandboxSpec, config: ImageConfig, layers: tuple[str, ...]
    ) -> ContainerStatus:
        try:
            plan = plan_container(spec, config, layers, sandbox, self._layout, self._node)
        except ValueError as error:
            raise runtime_error(
                "create_container", "CreateContainerConfigError", str(error), retryable=False
            ) from error
        self._records.write_container(spec)
        state = await self._call("create_container", "create", "CreateContainerError", plan=plan)
        return _format_status(spec, state)

    async def start_container(self, container_id: str) -> ContainerStatus:
        verb = "start_container"
        spec = self._find_spec(verb, container_id)
        state = await self._call(verb, "start", "RunContainerError", id=container_id)
        if state["state"] == "EXITED" and state["reason"] == "StartError":
            raise runtime_error(verb, "RunContainerError", state["message"], retryable=False)
        return _format_status(spec, state)

    async def stop_container(self, container_id: str, grace_ms: int) -> None:
        if self._records.read_container(container_id) is not None:
            await self._call("stop_container", "stop", id=container_id, grace_ms=grace_ms)

    async def remove_container(self, container_id: str) -> None:
        async with self._lock(container_id):
            spec = self._records.read_container(container_id)
            if spec is None:
                return
            await self._call("remove_container", "remove", id=container_id)
            await self._discard(spec)
        self._locks.pop(container_id, None)
        self._empty_trash()

    async def update_container(
        self, container_id: str, resources: Resources, labels: Mapping[str, str]
    ) -> ContainerStatus:
        """The limits first: a spec that says more than is so would never be put right."""
        verb = "update_container"
        async with self._lock(container_id):
            spec = self._find_spec(verb, container_id)
            resources = msgspec.structs.replace(resources, pids_max=spec.resources.pids_max)
            state = await self._call(
                verb, "resize", "UpdateError", id=container_id, resources=plan_resources(resources)
            )
            spec = msgspec.structs.replace(spec, resources=resources, labels={**spec.labels, **labels})
            self._records.write_container(spec)
            return _format_status(spec, state)

    async def _discard(self, spec: ContainerSpec) -> None:
        """The spec goes last: as long as it is there the container is listed, and removing it can be tried again."""
        await self._images.release(spec.image, spec.id)
        self._records.discard_container(spec.id)

    async def container_status(self, container_id: str) -> ContainerStatus:
        spec = self._find_spec("container_status", container_id)
        return _format_status(spec, await self._find_state("container_status", container_id))

    async def list_containers(self) -> list[ContainerStatus]:
        states = {state["id"]: state for state in await self._call("list_containers", "list")}
        specs = self._records.list_containers()
        return [_format_status(spec, states.get(spec.id)) for spec in specs if not self._is_busy(spec.id, states)]

    async def list_container_stats(self) -> list[ContainerStats]:
        running = [status for status in await self.list_containers() if status.state is ContainerState.RUNNING]
        now = self._clock()
        return await asyncio.to_thread(read_stats, self._cgroup, [status.spec.id for status in running], now)

    def _is_busy(self, container_id: str, states: dict[str, Any]) -> bool:
        """It is just being created: not there yet."""
        lock = self._locks.get(container_id)
        return container_id not in states and lock is not None and lock.locked()

    # Streams

    async def exec(self, spec: ExecSpec) -> Streams:
        return await self._start_process("exec", spec)

    async def exec_sync(self, spec: ExecSpec, timeout_ms: int, output_bytes_max: int = 16 << 20) -> ExecResult:
        return await run_to_end(await self._start_process("exec_sync", spec), timeout_ms, output_bytes_max)

    async def _start_process(self, verb: str, spec: ExecSpec) -> NativeProcess:
        self._find_spec(verb, spec.container_id)
        try:
            return await start_process(self._launcher, spec)
        except PluginError as error:
            raise runtime_error(
                verb,
                error.reason or "ExecError",
                error.message,
                retryable=error.retryable,
                exit_code=error.exit_code,
            ) from error

    async def attach(self, container_id: str, *, stdin: bool = False) -> Streams:
        spec = self._find_spec("attach", container_id)
        return await join_container(self._launcher, container_id, stdin=stdin and (spec.stdin or spec.tty))

    async def port_forward(self, sandbox_id: str, port: int, address: str = "") -> Connection:
        record = self._records.read_sandbox(sandbox_id)
        if record is None or self._records.format_sandbox(record).state is not SandboxState.READY:
            raise not_found("port_forward", "sandbox", sandbox_id)
        netns = "" if record.spec.host_network else self._layout.namespace(sandbox_id, "net")
        try:
            return await connect(netns, port, address)
        except OSError as error:
            raise runtime_error("port_forward", "RuntimeError", str(error)) from error

    async def events(self) -> AsyncIterator[ContainerStatus]:
        """After a restart of the launcher every status is told again, so that none is missed."""
        queue: asyncio.Queue[ContainerStatus] = asyncio.Queue()
        self._subscribers.append(queue)
        try:
            await self._launcher.connect()
            while True:
                yield await queue.get()
        finally:
            self._subscribers.remove(queue)

    async def close(self) -> None:
        await self._launcher.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def shutdown(self) -> None:
        """Remove every sandbox and end the launcher: nothing is left but logs. For taking a node down.

        Raises PluginError (RuntimeUnavailable) where the launcher, told to end, does not within ten seconds.
        """
        for sandbox in await self.list_pod_sandboxes():
            await self.remove_pod_sandbox(sandbox.spec.id)
        for status in await self.list_containers():
            await self.remove_container(status.spec.id)
        await self._call("shutdown", "shutdown")
        await self.close()
        await self._launcher.wait_ended()
        await asyncio.to_thread(self._delete_trash)

    # Parts

    async def _call(self, verb: str, launcher_verb: str, reason: str = "RuntimeError", **arguments: Any) -> Any:
        try:
            return await self._launcher.call(launcher_verb, **arguments)
        except PluginError as error:
            raise runtime_error(verb, error.reason or reason, error.message, retryable=error.retryable) from error

    async def _find_state(self, verb: str, container_id: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = await self._call(verb, "status", id=container_id)
        except PluginError as error:
            if error.reason == "NotFound":
                return None
            raise
        return found

    def _find_spec(self, verb: str, container_id: str) -> ContainerSpec:
        spec = self._records.read_container(container_id)
        if spec is None:
            raise not_found(verb, "container", container_id)
        return spec

    def _lock(self, name: str) -> asyncio.Lock:
        return self._locks.setdefault(name, asyncio.Lock())

    def _attachment(self, spec: SandboxSpec) -> Attachment:
        return Attachment(
            sandbox_id=spec.id,
            netns_path=self._layout.namespace(spec.id, "net"),
            pod_namespace=spec.pod_namespace,
            pod_name=spec.pod_name,
            ports=spec.ports,
        )

    def _on_event(self, state: dict[str, Any]) -> None:
        spec = self._records.read_container(state["id"])
        if spec is not None:
            for queue in self._subscribers:
                queue.put_nowait(_format_status(spec, state))

    def _on_reconnect(self) -> None:
        if self._subscribers:
            self._spawn(self._tell_all())

    async def _tell_all(self) -> None:
        try:
            statuses = await self.list_containers()
        except PluginError:
            return  # the connection is lost again: the next one tells
        for status in statuses:
            if status.state is not ContainerState.CREATED:
                for queue in self._subscribers:
                    queue.put_nowait(status)

    def _empty_trash(self) -> None:
        """Deleting can take long, so the launcher leaves it to us; what a kill leaves over goes next time."""
        self._spawn(asyncio.to_thread(self._delete_trash))

    def _delete_trash(self) -> None:
        """One at a time: a cancelled task's thread may still be at it."""
        with self._deleting:
            delete_all(self._layout.trash)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _format_status(spec: ContainerSpec, state: dict[str, Any] | None) -> ContainerStatus:
    """Without a state: the machine has restarted, or somebody was killed while creating it."""
    if state is None:
        return ContainerStatus(
            spec=spec,
            state=ContainerState.EXITED,
            exit_code=UNKNOWN_CODE,
            reason=UNKNOWN_REASON,
            message="the container could not be located on this node: the node has restarted",
        )
    return ContainerStatus(
        spec=spec,
        state=ContainerState(state["state"]),
        pid=state.get("pid", 0),
        exit_code=state.get("exit_code", 0),
        reason=state.get("reason", ""),
        message=state.get("message", ""),
        created_at_ms=state["created_at_ms"],
        started_at_ms=state.get("started_at_ms", 0),
        finished_at_ms=state.get("finished_at_ms", 0),
    )


def _home_of(root: Path) -> str:
    """RAYPOD_HOME when `root` is `<home>/nodes/<name>`: its keys are nobody's in a container."""
    return str(root.parent.parent if root.parent.name == "nodes" else root)

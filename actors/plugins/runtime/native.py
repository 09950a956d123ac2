"""The native runtime: Linux containers through a launcher of its own. Runs in the nodelet, and keeps nothing there.

Specs, states, exit codes and logs are under `root` on disk; namespaces are bind mounts, processes are the launcher's.
Killing the nodelet changes nothing for a container: the next instance lists and finds everything.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec

from actors.api.clock import Millis
from actors.plugins.errors import PluginError
from actors.plugins.image.port import ImagePort
from actors.plugins.network.port import Attachment, NetworkPort
from actors.plugins.runtime.client import LauncherClient
from actors.plugins.runtime.errors import check_id, not_found, runtime_error
from actors.plugins.runtime.planning import (
    Node,
    derive_hostname,
    derive_namespaces,
    format_hosts,
    plan_container,
)
from actors.plugins.runtime.port import (
    ContainerSpec,
    ContainerState,
    ContainerStatus,
    Sandbox,
    SandboxSpec,
)
from actors.plugins.runtime.records import Records, SandboxRecord


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
        self._root = str(root.resolve())
        self._images, self._network, self._clock = images, network, clock
        self._records = Records(self._root)
        self._node = Node(
            machine=os.uname().machine,
            hostname=socket.gethostname(),
            hidden_paths=(_home_of(Path(self._root)), *hidden_paths),
            devices=tuple(_list_host_devices("/dev")),
        )
        self._subscribers: list[asyncio.Queue[ContainerStatus]] = []
        self._launcher = LauncherClient(self._root, self._on_event, self._on_reconnect)
        self._tasks: set[asyncio.Task[None]] = set()
        self._locks: dict[str, asyncio.Lock] = {}

    # Sandboxes

    async def run_pod_sandbox(self, spec: SandboxSpec) -> Sandbox:
        check_id("run_pod_sandbox", spec.id)
        async with self._lock(spec.id):
            known = self._records.read_sandbox(spec.id)
            if known is not None and known.ready:
                return self._records.format_sandbox(known)
            record = known or SandboxRecord(spec=spec, created_at_ms=self._clock())
            self._records.write_sandbox(record)
            return await self._make_sandbox(record)

    async def _make_sandbox(self, record: SandboxRecord) -> Sandbox:
        spec, directory = record.spec, self._records.sandbox_dir(record.spec.id)
        hostname = derive_hostname(spec, self._node)
        shm = "" if spec.host_ipc else f"{directory}/shm"
        kinds = derive_namespaces(spec)
        await self._call(
            "run_pod_sandbox", "make_sandbox", directory=directory, kinds=kinds, hostname=hostname, shm=shm
        )
        ips: tuple[str, ...] = ()
        nameservers: tuple[str, ...] = ()
        if not spec.host_network:
            result = await self._network.add(self._attachment(spec))
            ips, nameservers = result.ips, result.nameservers
        self._write_etc(spec, directory, hostname, ips, nameservers)
        record = msgspec.structs.replace(record, ips=ips, ready=True)
        self._records.write_sandbox(record)
        return self._records.format_sandbox(record)

    def _write_etc(
        self, spec: SandboxSpec, directory: str, hostname: str, ips: tuple[str, ...], nameservers: tuple[str, ...]
    ) -> None:
        resolv = spec.resolv_conf or "".join(f"nameserver {server}\n" for server in nameservers) or _read_host_resolv()
        hosts = Path("/etc/hosts").read_text() if spec.host_network and not spec.etc_hosts else ""
        texts = {
            "resolv.conf": resolv,
            "hosts": hosts or format_hosts(spec, hostname, ips),
            "hostname": f"{hostname}\n",
        }
        for name, text in texts.items():
            path = Path(directory, name)
            path.write_text(text)
            path.chmod(0o644)

    async def stop_pod_sandbox(self, sandbox_id: str) -> None:
        async with self._lock(sandbox_id):
            await self._stop_sandbox("stop_pod_sandbox", sandbox_id)

    async def _stop_sandbox(self, verb: str, sandbox_id: str) -> None:
        record = self._records.read_sandbox(sandbox_id)
        if record is None:
            return
        await self._call(verb, "stop_sandbox", id=sandbox_id)
        if not record.spec.host_network:
            await self._network.delete(self._attachment(record.spec))
        if not record.stopped:
            self._records.write_sandbox(msgspec.structs.replace(record, stopped=True))

    async def remove_pod_sandbox(self, sandbox_id: str) -> None:
        async with self._lock(sandbox_id):
            await self._stop_sandbox("remove_pod_sandbox", sandbox_id)
            if self._records.read_sandbox(sandbox_id) is None:
                return
            for state in await self._call("remove_pod_sandbox", "list"):
                if state["sandbox"] == sandbox_id:
                    await self._remove("remove_pod_sandbox", state["id"])
            directory = self._records.sandbox_dir(sandbox_id)
            await self._call("remove_pod_sandbox", "remove_sandbox", directory=directory)
            self._records.discard_sandbox(sandbox_id)
            await self._empty_trash()
        self._locks.pop(sandbox_id, None)

    async def list_pod_sandboxes(self) -> list[Sandbox]:
        return [self._records.format_sandbox(record) for record in self._records.list_sandboxes()]

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
            if sandbox is None or not sandbox.ready or sandbox.stopped:
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
        self, spec: ContainerSpec, sandbox: SandboxSpec, config: Any, layers: tuple[str, ...]
    ) -> ContainerStatus:
        directories = self._records.sandbox_dir(sandbox.id), self._records.container_dir(spec.id)
        try:
            plan = plan_container(spec, config, layers, sandbox, *directories, self._node)
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
            await self._remove("remove_container", container_id)
        self._locks.pop(container_id, None)
        await self._empty_trash()

    async def _remove(self, verb: str, container_id: str) -> None:
        spec = self._records.read_container(container_id)
        if spec is None:
            return
        await self._call(verb, "remove", id=container_id)
        await self._discard(spec)

    async def _discard(self, spec: ContainerSpec) -> None:
        """The spec goes last: who finds one that the launcher does not know finishes this."""
        await self._images.release(spec.image, spec.id)
        self._records.discard_container(spec.id)

    async def _sweep(self, known: set[str]) -> None:
        """Finish removals (and creations) that a kill of ours cut short."""
        for container_id in self._records.list_container_ids():
            lock = self._lock(container_id)
            if container_id in known or lock.locked():
                continue
            spec = self._records.read_container(container_id)
            if spec is not None and await self._find_state("list_containers", container_id) is None:
                await self._discard(spec)

    async def container_status(self, container_id: str) -> ContainerStatus:
        spec = self._find_spec("container_status", container_id)
        return _format_status(spec, await self._call("container_status", "status", id=container_id))

    async def list_containers(self) -> list[ContainerStatus]:
        states = await self._call("list_containers", "list")
        await self._sweep({state["id"] for state in states})
        found = [(self._records.read_container(state["id"]), state) for state in states]
        statuses = [_format_status(spec, state) for spec, state in found if spec is not None]
        return sorted(statuses, key=lambda status: status.spec.id)

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
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._launcher.close()

    async def shutdown(self) -> None:
        """Remove every sandbox and end the launcher: nothing is left but logs. For taking a node down."""
        for sandbox in await self.list_pod_sandboxes():
            await self.remove_pod_sandbox(sandbox.spec.id)
        for status in await self.list_containers():
            await self.remove_container(status.spec.id)
        await self._call("shutdown", "shutdown")
        await self.close()

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
            netns_path=f"{self._records.sandbox_dir(spec.id)}/ns/net",
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
            task = asyncio.create_task(self._tell_all())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _tell_all(self) -> None:
        for status in await self.list_containers():
            if status.state is not ContainerState.CREATED:
                for queue in self._subscribers:
                    queue.put_nowait(status)

    async def _empty_trash(self) -> None:
        """Deleting can take long, so the launcher leaves it to us; what a kill leaves over goes next time."""
        trash = Path(self._root, "trash")
        if trash.is_dir():
            await asyncio.to_thread(_delete_all, trash)


def _delete_all(directory: Path) -> None:
    for entry in directory.iterdir():
        shutil.rmtree(entry, ignore_errors=True)


def _format_status(spec: ContainerSpec, state: dict[str, Any]) -> ContainerStatus:
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


def _read_host_resolv() -> str:
    try:
        return Path("/etc/resolv.conf").read_text()
    except OSError:
        return ""


def _list_host_devices(directory: str) -> list[tuple[str, str, int, int]]:
    """What a privileged container finds in its /dev: the host's nodes, without terminals and standard ones."""
    found: list[tuple[str, str, int, int]] = []
    for entry in sorted(os.scandir(directory), key=lambda entry: entry.path):
        if entry.is_dir(follow_symlinks=False):
            if entry.name not in ("pts", "shm", "mqueue", "fd"):
                found += _list_host_devices(entry.path)
            continue
        mode = entry.stat(follow_symlinks=False)
        kind = "c" if stat.S_ISCHR(mode.st_mode) else "b" if stat.S_ISBLK(mode.st_mode) else ""
        if kind and not entry.name.startswith("tty"):
            found.append((entry.path, kind, os.major(mode.st_rdev), os.minor(mode.st_rdev)))
    return found

"""One node's shell: builds the plugins, registers the node, drives core and executor, answers for logs and images.

One per node, pinned to it. Killing it at any point stops no container: the next one adopts what it finds. It is a
plain class; `cluster` makes a Ray actor of it.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import logging
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import msgspec
import ray

from actors.admission.profile import admitted
from actors.api.clock import Millis
from actors.api.errors import ApiError, Unavailable
from actors.api.images import ImageRequest
from actors.api.logs import LogRequest
from actors.api.streams import StreamRequest
from actors.api.tokens import ApiAddress
from actors.nodelet.api import ApiPort, follow_api
from actors.nodelet.attempts import MESSAGE_POLICY_LABEL
from actors.nodelet.config import NodeletConfig
from actors.nodelet.core import NodeletCore
from actors.nodelet.executor import Executor, Ports
from actors.nodelet.facts import NodeFacts
from actors.nodelet.host import Held, read_facts, select_held
from actors.nodelet.image_desk import ImageDesk
from actors.nodelet.log_reader import LogReader
from actors.nodelet.peers import follow_peers
from actors.nodelet.pod_range import claim_pod_cidr
from actors.nodelet.streams.endpoint import StreamEndpoint
from actors.nodelet.streams.target import find_target, open_target
from actors.nodelet.teardown import remove_all
from actors.nodelet.usage import UsageDesk
from actors.plugins.device.port import Device
from actors.plugins.errors import PluginError
from actors.plugins.registry import Plugins, PluginSettings, build_plugins
from actors.plugins.runtime.port import Connection, ContainerState, ContainerStatus, Streams
from actors.store.loop import run_core
from actors.store.port import StorePort

_LOG = logging.getLogger(__name__)
_RETRY_SECONDS = 1.0
_HOUSEKEEPING_SECONDS = 600.0
_HOUR_MS = 3_600_000
_TEARDOWN_SECONDS = 30.0


#: Why a node is not ready until it knows its containers.
STARTING = "starting"


class _Stopped(Exception):
    """`teardown` was called before the node was ready."""


def read_clock() -> Millis:
    return time.time_ns() // 1_000_000


class NodeletActor:
    """`state_dir` is the node's own directory. `address` "": that of the Ray node. `held` None: asked of Ray."""

    def __init__(
        self,
        config: NodeletConfig,
        node_name: str,
        state_dir: str,
        store: StorePort,
        api: ApiPort,
        *,
        address: str = "",
        held: Held | None = None,
        plugins: Plugins | None = None,
    ) -> None:
        self._config = msgspec.structs.replace(config, network=config.network.filled())
        self._name, self._store, self._api = node_name, store, api
        self._state = Path(state_dir)
        self._state.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._address, self._held = address or read_address(), held or read_held()
        self._given = plugins
        self._core = NodeletCore(node_name, self._config)
        self._logs = LogReader(self._state / "logs", self._is_live)
        self._streams = StreamEndpoint(self._address, config.stream_port, self._state, self._open_stream)
        self._nudge, self._stop, self._stopped = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._stopped.set()
        self._plugins: Plugins | None = None
        self._desk: ImageDesk | None = None
        self._meter: UsageDesk | None = None
        self._facts = read_facts(self._address, self._state, self._held, _version())
        self._message = STARTING

    async def run(self) -> None:
        """Until `teardown`. What fails at start is tried again, and `health` says what it is."""
        if self._stop.is_set():
            return
        self._stopped.clear()
        try:
            await self._run(await self._open())
        except _Stopped:
            _LOG.info("node %s: stopped before it was ready", self._name)
        finally:
            self._stopped.set()

    async def _run(self, plugins: Plugins) -> None:
        """A core of its own for each run: what another had under way is found again, not remembered."""
        self._core = NodeletCore(self._name, self._config)
        self._learn(self._facts)
        ports = Ports(plugins.runtime, plugins.images, plugins.storage, plugins.devices, self._api)
        executor = Executor(self._core, ports, self._store, read_clock, self._nudge, self._enrich)
        try:
            await self._insist("containers", executor.adopt)
            self._message = ""
            _LOG.info("node %s: adopted %d pods", self._name, len(self._core.records))
            async with asyncio.TaskGroup() as group:
                beside = [group.create_task(work) for work in self._beside(executor, plugins)]
                async with admitted(self._store, f"system:node:{self._name}", "system:nodes") as store:
                    await run_core(executor, store, read_clock, self._stop, self._nudge)
                for task in beside:
                    task.cancel()
        finally:
            await self._streams.close()
            await executor.close()

    def _beside(self, executor: Executor, plugins: Plugins) -> tuple[Coroutine[Any, Any, None], ...]:
        return (
            executor.follow_events(),
            self._follow_devices(plugins),
            follow_peers(self._store, plugins.network),
            follow_api(self._api, plugins.network, self._learn_api),
            self._keep_house(),
            self._measure(plugins),
        )

    async def read_log(self, blob: bytes) -> bytes:
        """LogRequest -> LogChunk. Raises NotFound, BadRequest."""
        request = msgspec.msgpack.decode(blob, type=LogRequest)
        return msgspec.msgpack.encode(await self._logs.read(request))

    async def image(self, blob: bytes) -> bytes:
        """ImageRequest -> ImageReply. Raises NotFound, BadRequest, Unavailable."""
        if self._desk is None:
            raise Unavailable(f"the node {self._name} is starting", retry_after_seconds=1)
        return msgspec.msgpack.encode(await self._desk.answer(msgspec.msgpack.decode(blob, type=ImageRequest)))

    async def usage(self, blob: bytes) -> bytes:
        """-> NodeUsage; `blob` is empty of meaning. Raises Unavailable."""
        if self._meter is None:
            raise Unavailable(f"the node {self._name} is starting", retry_after_seconds=1)
        return msgspec.msgpack.encode(await self._meter.read())

    async def open_stream(self, blob: bytes) -> bytes:
        """StreamRequest -> StreamTicket. Raises BadRequest, NotFound, TooManyRequests, Unavailable."""
        request = msgspec.msgpack.decode(blob, type=StreamRequest)
        if self._plugins is None:
            raise Unavailable(f"the node {self._name} is starting", retry_after_seconds=1)
        find_target(self._core.records, request)
        try:
            return msgspec.msgpack.encode(await self._streams.issue(request))
        except OSError as error:
            raise Unavailable(f"the node {self._name} cannot listen for streams: {error}") from error

    async def _open_stream(self, request: StreamRequest) -> Streams | Connection:
        if self._plugins is None:
            raise Unavailable(f"the node {self._name} is starting", retry_after_seconds=1)
        return await open_target(self._plugins.runtime, find_target(self._core.records, request), request)

    async def health(self) -> dict[str, Any]:
        """For `raypod status`: what runs here, and what keeps it from running more."""
        records = self._core.records.values()
        return {
            "ready": not self._message and not self._core.complaint,
            "reason": self._message or self._core.complaint,
            "pods": sum(record.pod is not None for record in records),
            "containers": sum(len(record.running()) for record in records),
            "devices": len(self._facts.devices),
        }

    async def teardown(self) -> None:
        """Remove every container, the network and all mounts of this node; the logs stay. Ends `run`."""
        self._stop.set()
        await asyncio.wait_for(self._stopped.wait(), _TEARDOWN_SECONDS)
        await remove_all(self._name, self._plugins or self._given or build_plugins(self._settings()))

    # Start

    async def _open(self) -> Plugins:
        """Plugins built, network set up, node described. The order is that of what needs what."""
        if self._plugins is not None:
            return self._plugins
        cidr = await self._insist("pod range", lambda: claim_pod_cidr(self._store, self._name, self._config.network))
        plugins = self._given or build_plugins(self._settings())
        await self._insist("network", lambda: plugins.network.setup(cidr))
        devices = await self._insist("devices", plugins.devices.list_devices)
        self._plugins, self._desk = plugins, ImageDesk(plugins.images)
        warnings = plugins.network.warnings
        offered = self._offered(devices)
        self._facts = msgspec.structs.replace(self._facts, pod_cidr=cidr, devices=offered, network_warnings=warnings)
        return plugins

    def _settings(self) -> PluginSettings:
        config = self._config
        return PluginSettings(
            root=self._state,
            clock=read_clock,
            images=config.images,
            network=config.network,
            devices=config.devices,
            choices=config.plugins,
        )

    async def _insist(self, what: str, attempt: Any) -> Any:
        """Until it works: a node that cannot start says why, and starts as soon as it can."""
        while True:
            try:
                return await attempt()
            except (PluginError, ApiError, OSError, ValueError) as error:
                self._message = f"{what}: {error}"
                _LOG.warning("node %s: %s", self._name, self._message)
            if self._stop.is_set():
                raise _Stopped
            await asyncio.sleep(_RETRY_SECONDS)

    # Beside the core

    def _learn(self, facts: NodeFacts) -> None:
        self._facts = facts
        self._core.learn(facts, read_clock())
        self._nudge.set()

    def _learn_api(self, address: ApiAddress) -> None:
        self._learn(msgspec.structs.replace(self._facts, api=address))

    async def _follow_devices(self, plugins: Plugins) -> None:
        """A device whose health changes is told to the store at once."""
        async for _ in plugins.devices.health():
            devices = self._offered(await plugins.devices.list_devices())
            self._learn(msgspec.structs.replace(self._facts, devices=devices))

    def _offered(self, devices: list[Device]) -> tuple[Device, ...]:
        """Pretended GPUs are in nobody's ledger."""
        return tuple(devices) if self._config.devices.fake_gpus else select_held(devices, self._held)

    async def _keep_house(self) -> None:
        """Logs of pods that are gone are kept for the configured time."""
        while True:
            before = read_clock() - self._config.log_retention_hours * _HOUR_MS
            deleted = await asyncio.to_thread(self._logs.delete_old, frozenset(self._core.records), before)
            if deleted:
                _LOG.info("node %s: deleted the logs of %d pods", self._name, len(deleted))
            await asyncio.sleep(_HOUSEKEEPING_SECONDS)

    async def _measure(self, plugins: Plugins) -> None:
        self._meter = UsageDesk(plugins.runtime, self._running, read_clock)
        await self._meter.run()

    def _running(self) -> Iterator[tuple[str, ContainerStatus]]:
        return ((uid, status) for uid, record in self._core.records.items() for status in record.running())

    def _is_live(self, uid: str, container: str, attempt: int) -> bool:
        record = self._core.records.get(uid)
        return record is not None and any(
            c.spec.attempt == attempt for c in record.running() if c.spec.name == container
        )

    def _enrich(self, status: ContainerStatus) -> ContainerStatus:
        """A failed container without a message gets the end of its log, when its pod asks for that."""
        failed = status.state == ContainerState.EXITED and status.exit_code != 0 and not status.message
        if not failed or status.spec.labels.get(MESSAGE_POLICY_LABEL) != "FallbackToLogsOnError":
            return status
        return msgspec.structs.replace(status, message=self._logs.tail_message(status.spec.log_path))


def read_held() -> Held:
    """Outside Ray nothing is held, and the machine is offered as it is."""
    if not ray.is_initialized():
        return Held()
    assigned = ray.get_runtime_context().get_assigned_resources()
    gpus = tuple(str(gpu) for gpu in ray.get_gpu_ids())
    return Held(
        cpu_millis=int(1_000 * assigned.get("CPU", 0)),
        memory_bytes=int(assigned.get("memory", 0)),
        gpus=gpus or None,
    )


def read_address() -> str:
    return str(ray.util.get_node_ip_address()) if ray.is_initialized() else "127.0.0.1"


def _version() -> str:
    try:
        return importlib.metadata.version("raypod")
    except importlib.metadata.PackageNotFoundError:
        return ""

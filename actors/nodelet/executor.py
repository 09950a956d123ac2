"""The shell around the core: carries operations out on the ports, each with a time limit, and feeds results back.

Operations of one slot never overlap, for the core does not issue them; all others run concurrently. Nothing waits for
a timer: every result, event and change of the store leads to the next operations at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from actors.api.clock import Millis
from actors.api.errors import ApiError, NotFound
from actors.api.key import Key, Stored
from actors.nodelet.api import ApiPort
from actors.nodelet.core import NodeletCore
from actors.nodelet.images import format_progress
from actors.nodelet.operations import (
    CANCELLED,
    AllocateDevices,
    CheckImage,
    CreateContainer,
    Failure,
    FetchConfig,
    FetchTokens,
    Listing,
    ListNode,
    Operation,
    PublishVolumes,
    PullImage,
    RemoveContainer,
    RemoveSandbox,
    Result,
    RunSandbox,
    StartContainer,
    StopContainer,
    StopSandbox,
    UnpublishVolumes,
    UpdateContainer,
    failure_of,
)
from actors.plugins.device.port import DevicePort
from actors.plugins.errors import PluginError
from actors.plugins.image.port import ImagePort, Progress, ProgressSink
from actors.plugins.runtime.port import ContainerState, ContainerStatus, RuntimePort
from actors.plugins.storage.port import StoragePort
from actors.reconcile.actions import Reply, StoreWrite
from actors.reconcile.watch import Selection, WatchBatch
from actors.store.port import StorePort

_LOG = logging.getLogger(__name__)
#: After the runtime's event stream broke.
_RECONNECT_SECONDS = 0.2
#: How often a pod's status says how far its image is.
PROGRESS_MS = 2_000

Clock = Callable[[], Millis]
StatusHook = Callable[[ContainerStatus], ContainerStatus]


class Ports(msgspec.Struct, frozen=True):
    """The node, as its plugins, and the gateway's door for it. (The network is inside the runtime.)"""

    runtime: RuntimePort
    images: ImagePort
    storage: StoragePort
    devices: DevicePort
    api: ApiPort


class Executor:
    """Also a `reconcile.core.Core`: `run_core` drives it, and each of its calls lets the operations go on.

    `nudge` is set when the store is to hear of something. `enrich` may add to a container's status what only the shell
    can read (a termination message from its log).
    """

    def __init__(
        self,
        core: NodeletCore,
        ports: Ports,
        store: StorePort,
        clock: Clock,
        nudge: asyncio.Event,
        enrich: StatusHook = lambda status: status,
    ) -> None:
        self.core, self._ports, self._store, self._clock, self._nudge = core, ports, store, clock, nudge
        self._enrich = enrich
        self._tasks: dict[asyncio.Task[None], Operation] = {}
        self._closed = False

    # reconcile.core.Core, with the operations that follow from each call.

    def selection(self) -> Selection:
        return self.core.selection()

    def relist(self, items: Sequence[Stored], revision: int, now: Millis) -> None:
        self.core.relist(items, revision, now)
        self.pump()

    def observe(self, batch: WatchBatch, now: Millis) -> None:
        self.core.observe(batch, now)
        self.pump()

    def decide(self, now: Millis) -> Sequence[StoreWrite]:
        writes = self.core.decide(now)
        self.pump()
        return writes

    def replied(self, writes: Sequence[StoreWrite], replies: Sequence[Reply], now: Millis) -> None:
        self.core.replied(writes, replies, now)
        self.pump()

    def wake_at(self) -> Millis | None:
        return self.core.wake_at()

    # The node.

    async def adopt(self) -> None:
        """Find what is there. Fails as the runtime does."""
        listing = await self._list_node(ListNode())
        self.core.adopt(listing.sandboxes, listing.containers, self._clock(), listing.volumes)

    def pump(self) -> None:
        """Begin what is to be done now, end what is no longer wanted."""
        if self._closed:
            return
        for operation in self.core.operations(self._clock()):
            task = asyncio.create_task(self._carry_out(operation), name=f"{type(operation).__name__}")
            self._tasks[task] = operation
            task.add_done_callback(self._tasks.pop)
        abandoned = self.core.abandoned()
        for task, operation in list(self._tasks.items()):
            if operation in abandoned:
                task.cancel()

    async def follow_events(self) -> None:
        """Until cancelled. After a break everything is listed again, for events may have been missed."""
        while True:
            try:
                async for status in self._ports.runtime.events():
                    self.core.container_event(self._enrich(status), self._clock())
                    self._go_on()
            except PluginError as error:
                _LOG.warning("the runtime's events broke off: %s", error)
            except Exception:
                _LOG.exception("the runtime's events broke off")
            await asyncio.sleep(_RECONNECT_SECONDS)
            await self._carry_out(ListNode())

    async def close(self) -> None:
        """Let go of what is under way; the containers go on."""
        self._closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _go_on(self) -> None:
        self.pump()
        self._nudge.set()

    async def _carry_out(self, operation: Operation) -> None:
        result = await self.attempt(operation)
        self.core.completed(operation, result, self._clock())
        self._go_on()

    async def attempt(self, operation: Operation) -> Result:
        """The answer, or the failure as a value. Only a cancellation because of `close` passes."""
        try:
            async with asyncio.timeout(operation.timeout_ms / 1_000):
                return await self._perform(operation)
        except PluginError as error:
            return failure_of(error)
        except ApiError as error:
            return Failure(reason=error.reason, message=f"the API store: {error.message}")
        except TimeoutError:
            seconds = operation.timeout_ms / 1_000
            return Failure(reason="DeadlineExceeded", message=f"{operation.slot} took longer than {seconds:g} s")
        except asyncio.CancelledError:
            if self._closed:
                raise
            return Failure(reason=CANCELLED, message=f"{operation.slot} was given up")
        except Exception as error:
            _LOG.exception("%s failed", operation.slot)
            return Failure(reason="InternalError", message=f"{operation.slot}: {error!r}")

    async def _perform(self, operation: Operation) -> Result:
        return await _VERBS[type(operation)](self, operation)

    # One verb per operation.

    async def _list_node(self, operation: ListNode) -> Listing:
        sandboxes, containers, volumes = await asyncio.gather(
            self._ports.runtime.list_pod_sandboxes(),
            self._ports.runtime.list_containers(),
            self._ports.storage.published(),
        )
        enriched = tuple(self._enrich(status) for status in containers)
        return Listing(sandboxes=tuple(sandboxes), containers=enriched, volumes=volumes)

    async def _fetch_config(self, operation: FetchConfig) -> Result:
        objects = await asyncio.gather(*(self._get(key) for key in operation.keys))
        return dict(zip(operation.keys, objects, strict=True))

    async def _fetch_tokens(self, operation: FetchTokens) -> Result:
        tokens = await asyncio.gather(*map(self._ports.api.pod_token, operation.requests))
        return dict(zip(operation.requests, tokens, strict=True))

    async def _get(self, key: Key) -> Stored | None:
        try:
            return await self._store.get(key)
        except NotFound:
            return None

    async def _check_image(self, operation: CheckImage) -> Result:
        return await self._ports.images.image_status(operation.reference)

    async def _pull_image(self, operation: PullImage) -> Result:
        return await self._ports.images.pull_image(operation.reference, operation.auth, self._progress_of(operation))

    def _progress_of(self, operation: PullImage) -> ProgressSink:
        """Tells the core every few seconds. May be called from another thread."""
        loop, told = asyncio.get_running_loop(), self._clock()

        def note(progress: Progress) -> None:
            nonlocal told
            if self._clock() - told >= PROGRESS_MS:
                told = self._clock()
                loop.call_soon_threadsafe(tell, format_progress(progress))

        def tell(text: str) -> None:
            self.core.progressed(operation, text)
            self._nudge.set()

        return note

    async def _allocate_devices(self, operation: AllocateDevices) -> Result:
        return await self._ports.devices.allocate(operation.device_ids)

    async def _publish_volumes(self, operation: PublishVolumes) -> Result:
        paths = await asyncio.gather(*(self._ports.storage.publish_volume(r) for r in operation.requests))
        return {request.name: path for request, path in zip(operation.requests, paths, strict=True)}

    async def _unpublish_volumes(self, operation: UnpublishVolumes) -> Result:
        await self._ports.storage.unpublish_volumes(operation.pod_uid)
        return None

    async def _run_sandbox(self, operation: RunSandbox) -> Result:
        return await self._ports.runtime.run_pod_sandbox(operation.spec)

    async def _stop_sandbox(self, operation: StopSandbox) -> Result:
        await self._ports.runtime.stop_pod_sandbox(operation.sandbox_id)
        return None

    async def _remove_sandbox(self, operation: RemoveSandbox) -> Result:
        await self._ports.runtime.remove_pod_sandbox(operation.sandbox_id)
        return None

    async def _create_container(self, operation: CreateContainer) -> Result:
        return await self._ports.runtime.create_container(operation.spec)

    async def _start_container(self, operation: StartContainer) -> Result:
        """One whose command could not be run has EXITED: that is its answer, and the restart policy's business."""
        try:
            return self._enrich(await self._ports.runtime.start_container(operation.container_id))
        except PluginError:
            with contextlib.suppress(PluginError):
                status = await self._status(operation.container_id)
                if status is not None and status.state == ContainerState.EXITED:
                    return status
            raise

    async def _stop_container(self, operation: StopContainer) -> Result:
        await self._ports.runtime.stop_container(operation.container_id, operation.grace_ms)
        return await self._status(operation.container_id)

    async def _update_container(self, operation: UpdateContainer) -> Result:
        runtime = self._ports.runtime
        return self._enrich(
            await runtime.update_container(operation.container_id, operation.resources, operation.labels)
        )

    async def _remove_container(self, operation: RemoveContainer) -> Result:
        await self._ports.runtime.remove_container(operation.container_id)
        return None

    async def _status(self, container_id: str) -> ContainerStatus | None:
        """None: the runtime does not know it. Any other failure is one: an end that was not seen is not told."""
        try:
            return self._enrich(await self._ports.runtime.container_status(container_id))
        except PluginError as error:
            if error.reason != "NotFound":
                raise
        return None


_VERBS: dict[type[Operation], Callable[[Executor, Any], Awaitable[Result]]] = {
    ListNode: Executor._list_node,
    FetchConfig: Executor._fetch_config,
    FetchTokens: Executor._fetch_tokens,
    CheckImage: Executor._check_image,
    PullImage: Executor._pull_image,
    AllocateDevices: Executor._allocate_devices,
    PublishVolumes: Executor._publish_volumes,
    UnpublishVolumes: Executor._unpublish_volumes,
    RunSandbox: Executor._run_sandbox,
    StopSandbox: Executor._stop_sandbox,
    RemoveSandbox: Executor._remove_sandbox,
    CreateContainer: Executor._create_container,
    StartContainer: Executor._start_container,
    StopContainer: Executor._stop_container,
    UpdateContainer: Executor._update_container,
    RemoveContainer: Executor._remove_container,
}

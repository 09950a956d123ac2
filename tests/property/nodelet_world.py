"""A node in memory for the nodelet: the real store engine, the fake ports, a clock that is moved by hand.

One step is one call into the core or one operation on the node, so a test can stop, repeat or lose any of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from actors.api.codec import decode
from actors.api.errors import NotFound
from actors.api.key import Key
from actors.nodelet.config import NodeletConfig
from actors.nodelet.core import NodeletCore
from actors.nodelet.executor import Executor, Ports
from actors.nodelet.facts import NodeFacts
from actors.nodelet.fake import FakeApi
from actors.nodelet.operations import Operation
from actors.plugins.device.fake import FakeDevices
from actors.plugins.errors import PluginError
from actors.plugins.image.fake import FakeImages
from actors.plugins.image.port import ImageConfig
from actors.plugins.network.fake import FakeNetwork
from actors.plugins.runtime.fake import FOREVER, FakeMachine, FakeRuntime, Script
from actors.plugins.runtime.port import ContainerSpec, ContainerState
from actors.plugins.storage.fake import FakeStorage
from actors.reconcile.actions import Create, Delete, Patch, PatchType
from actors.reconcile.watch import Selection, WatchEvent
from actors.store.local import LocalStore

START_MS = 1_800_000_000_000
NODE = "n1"


class World:
    """`scripts` says what each container does. `fault(verb, id)` makes a runtime call fail."""

    def __init__(
        self,
        scripts: Callable[[ContainerSpec], Script] = lambda spec: Script(run_ms=FOREVER),
        config: NodeletConfig | None = None,
        gpus: int = 0,
    ) -> None:
        self.now = START_MS
        self.config = config or NodeletConfig()
        self.store = LocalStore(clock=lambda: self.now)
        self.machine, self.images, self.storage = FakeMachine(), FakeImages(), FakeStorage()
        self.images.publish("app", ImageConfig(entrypoint=("/main",)))
        self.network, self.devices = FakeNetwork(), FakeDevices(gpus)
        self.fault: Callable[[str, str], PluginError | None] = lambda verb, name: None
        self.runtime = FakeRuntime(
            self.machine,
            self.images,
            self.network,
            lambda: self.now,
            scripts,
            lambda verb, name: self.fault(verb, name),
        )
        self.performed: list[Operation] = []
        self.steps = 0
        self.crash_at = -1
        self.core: NodeletCore
        self.revision = 0
        self.facts = NodeFacts(address="10.0.0.1", cpu_millis=4_000, memory_bytes=8 << 30, logs_dir="/logs")

    async def start(self) -> None:
        """A new nodelet over the same node and store."""
        await self.network.setup("10.160.0.0/24")
        self.facts = msgspec.structs.replace(self.facts, devices=tuple(await self.devices.list_devices()))
        self.core = NodeletCore(NODE, self.config)
        ports = Ports(self.runtime, self.images, self.storage, self.devices, FakeApi(lambda: self.now))
        self.executor = Executor(self.core, ports, self.store, lambda: self.now, asyncio.Event())
        self.core.learn(self.facts, self.now)
        await self.executor.adopt()
        await self.store.commit([root_ca_map()])
        page = await self.store.list(self.core.selection())
        self.revision = page.revision
        self.core.relist(page.items, page.revision, self.now)

    async def settle(self) -> None:
        """Until there is nothing to do at this time."""
        for _ in range(500):
            if not await self.step():
                return
        raise AssertionError(f"never content; last operations: {self.performed[-10:]}")

    async def begin(self, kind: type[Operation]) -> Operation:
        """Go on until such an operation is asked for; it is under way then and not carried out."""
        for _ in range(50):
            batch = await self.store.watch(self.core.selection(), self.revision, 0)
            self.revision = max(self.revision, batch.revision)
            self.core.observe(batch, self.now)
            for operation in self.core.operations(self.now):
                if isinstance(operation, kind):
                    return operation
                await self.perform(operation)
        raise AssertionError(f"no {kind.__name__} was asked for")

    async def advance(self, span_ms: int) -> None:
        """Let time pass, stopping wherever the core wants to wake."""
        end = self.now + span_ms
        await self.settle()
        while self.now < end:
            wake_at = self.core.wake_at()
            exits = [s.started_at_ms + self._run_ms(s.spec) for s in self.machine.containers.values() if self._ends(s)]
            times = [t for t in (wake_at, *exits, end) if t is not None and t > self.now]
            self.now = min(times)
            self.runtime.tick()
            await self.settle()

    async def step(self) -> bool:
        did = False
        batch = await self.store.watch(self.core.selection(), self.revision, 0)
        if batch.events:
            self.core.observe(batch, self.now)
            did = self._count()
        self.revision = max(self.revision, batch.revision)
        for operation in self.core.operations(self.now):
            await self.perform(operation)
            did = True
        for status in await self.runtime.list_containers():
            self.core.container_event(status, self.now)
        writes = self.core.decide(self.now)
        if writes:
            did = self._count()
            replies = await self.store.commit(writes)
            self._count()
            self.core.replied(writes, replies, self.now)
        return did

    async def perform(self, operation: Operation) -> None:
        """Between the two counts the operation is done and the core does not know."""
        self._count()
        result = await self.executor.attempt(operation)
        self.performed.append(operation)
        self._count()
        self.core.completed(operation, result, self.now)

    def _count(self) -> bool:
        self.steps += 1
        if self.steps == self.crash_at:
            raise Crash
        return True

    def _run_ms(self, spec: ContainerSpec) -> int:
        return self.runtime._scripts(spec).run_ms

    def _ends(self, status: Any) -> bool:
        return status.state == ContainerState.RUNNING and self._run_ms(status.spec) != FOREVER

    # What users do.

    async def create(self, name: str, **spec: Any) -> Key:
        return await self.create_object(make_pod(name, **spec))

    async def create_object(self, obj: dict[str, Any], resource: str = "pods") -> Key:
        (reply,) = await self.store.commit([Create(resource=resource, namespace="default", object=obj)])
        assert reply.error is None, reply.error
        return Key(resource, "default", obj["metadata"]["name"])

    async def delete(self, key: Key, grace_seconds: int | None = None) -> None:
        (reply,) = await self.store.commit([Delete(key=key, grace_period_seconds=grace_seconds)])
        assert reply.error is None, reply.error

    async def patch(self, key: Key, patch: dict[str, Any], subresource: str = "") -> None:
        (reply,) = await self.store.commit(
            [Patch(key=key, patch=patch, subresource=subresource, type=PatchType.STRATEGIC)]
        )
        assert reply.error is None, reply.error

    async def get(self, key: Key) -> dict[str, Any] | None:
        try:
            return decode(await self.store.get(key))
        except NotFound:
            return None

    async def status(self, key: Key) -> dict[str, Any]:
        obj = await self.get(key)
        assert obj is not None, f"{key} is gone"
        status = obj.get("status")
        assert isinstance(status, dict)
        return status

    async def state(self, key: Key, index: int = 0) -> dict[str, Any]:
        state = (await self.status(key))["containerStatuses"][index]["state"]
        assert isinstance(state, dict)
        return state

    async def events(self) -> list[str]:
        """Their reasons."""
        page = await self.store.list(Selection(resources=("events",)))
        return [decode(item)["reason"] for item in page.items]

    def is_clean(self) -> bool:
        """Nothing of any pod is left on the node."""
        machine = self.machine
        return not (machine.sandboxes or machine.containers or self.storage.volumes or self.network.leases)


class Crash(Exception):
    """The nodelet's process dies here."""


def make_container(name: str = "main", image: str = "app", **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": image, "imagePullPolicy": "IfNotPresent", **fields}


def root_ca_map() -> Create:
    """What every pod with a token mounts, too; the controllers make it in each API namespace."""
    metadata = {"name": "kube-root-ca.crt", "namespace": "default"}
    ca = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"ca.crt": "PEM"}}
    return Create(resource="configmaps", namespace="default", object=ca)


def make_pod(
    name: str, *, containers: list[dict[str, Any]] | None = None, metadata: dict[str, Any] | None = None, **spec: Any
) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", **(metadata or {})},
        "spec": {"nodeName": NODE, "containers": containers or [make_container()], **spec},
    }


def statuses_of(event: WatchEvent) -> list[dict[str, Any]]:
    return list(decode(event.stored)["status"].get("containerStatuses", ()))


def conditions(status: dict) -> dict[str, str]:
    return {c["type"]: c["status"] for c in status["conditions"]}

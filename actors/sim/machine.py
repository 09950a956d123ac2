"""One simulated machine: containers, images, network, volumes and GPUs that outlive any nodelet, but not a power cut.

Every start and exit is told to the laws at once, at the very moment it happens, and to the nodelet a little later or
never. Everything runs on a loop whose time is the simulated one, so nothing depends on how fast the real machine is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, TypeVar, cast

import msgspec

from actors.nodelet.attempts import POD_NAME_LABEL, POD_UID_LABEL
from actors.nodelet.executor import Ports
from actors.nodelet.fake import FakeApi
from actors.plugins.device.fake import FakeDevices
from actors.plugins.device.port import Device
from actors.plugins.image.fake import FakeImages
from actors.plugins.image.port import ImageConfig
from actors.plugins.network.fake import FakeNetwork
from actors.plugins.runtime.fake import FOREVER, FakeMachine, FakeRuntime
from actors.plugins.runtime.port import ContainerState, ContainerStatus, SandboxState
from actors.plugins.storage.fake import FakeStorage
from actors.sim.faults import Faults
from actors.sim.manifests import IMAGE, script_of
from actors.sim.ports import FaultyPort
from actors.sim.timeline import Clock, Timeline

T = TypeVar("T")

GPUS = 2
#: So short that tokens are renewed while a seed lasts.
_TOKEN_SECONDS_MAX = 60


class SimLoop(asyncio.SelectorEventLoop):
    """Its time is the timeline's: time limits of operations never depend on the real clock."""

    def __init__(self, timeline: Timeline) -> None:
        super().__init__()
        self._timeline = timeline

    def time(self) -> float:
        return self._timeline.now / 1_000


class SimMachine:
    """`on_change` hears of every start and exit."""

    def __init__(
        self,
        pod_cidr: str,
        timeline: Timeline,
        clock: Clock,
        faults: Faults,
        on_change: Callable[[ContainerStatus], None],
    ) -> None:
        self._pod_cidr, self._timeline, self._clock, self._faults = pod_cidr, timeline, clock, faults
        self._on_change = on_change
        self._loop = SimLoop(timeline)
        self.devices = FakeDevices(GPUS)
        self.boot()

    def boot(self) -> None:
        """Switched on, with empty hands."""
        self._happened: list[ContainerStatus] = []
        self.machine = FakeMachine()
        self.machine.subscribers.append(cast("asyncio.Queue[ContainerStatus]", self))  # only put_nowait is used of it
        self._images, self._network, self._storage = FakeImages(self._clock.now), FakeNetwork(), FakeStorage()
        self._images.publish(IMAGE, ImageConfig(entrypoint=("/sim",)))
        self._loop.run_until_complete(self._network.setup(self._pod_cidr))
        images, network, storage, devices, api = (
            cast("Any", FaultyPort(name, port, self._faults))
            for name, port in (
                ("image", self._images),
                ("network", self._network),
                ("storage", self._storage),
                ("device", self.devices),
                ("api", FakeApi(self._clock.now, _TOKEN_SECONDS_MAX)),
            )
        )
        self._runtime = FakeRuntime(self.machine, images, network, self._clock.now, script_of)
        runtime = cast("Any", FaultyPort("runtime", self._runtime, self._faults))
        self.ports = Ports(runtime, images, storage, devices, api)

    def power_off(self) -> None:
        self.machine.subscribers.clear()

    def close(self) -> None:
        self._loop.close()

    # --- what is done to it ---------------------------------------------------------------------------------------

    def run(self, work: Awaitable[T]) -> T:
        """Carry out, now. What started or ended by it is told when it is done."""
        result = self._loop.run_until_complete(cast("Any", work))
        self._tell()
        return cast("T", result)

    def kill(self, container_id: str) -> None:
        """As the kernel's OOM killer does."""
        self._runtime.exit_container(container_id, 137)
        self._tell()

    def break_sandbox(self, sandbox_id: str) -> None:
        """Its namespaces are gone, and with them everything in it."""
        sandbox = self.machine.sandboxes[sandbox_id]
        for status in [s for s in self.running() if s.spec.sandbox_id == sandbox_id]:
            self._runtime.exit_container(status.spec.id, 137)
        self.machine.sandboxes[sandbox_id] = msgspec.structs.replace(sandbox, state=SandboxState.NOT_READY)
        self._tell()

    def put_nowait(self, status: ContainerStatus) -> None:
        """The runtime's event: a container started or ended."""
        self._happened.append(status)
        script = script_of(status.spec)
        if status.state is ContainerState.RUNNING and script.run_ms != FOREVER:
            self._timeline.after(script.run_ms, partial(self._end_script, self.machine, status.spec.id))

    def _end_script(self, machine: FakeMachine, container_id: str) -> None:
        if machine is self.machine and container_id in {status.spec.id for status in self.running()}:
            self._runtime.end_script(container_id)
            self._tell()

    def _tell(self) -> None:
        happened, self._happened = self._happened, []
        for status in happened:
            self._on_change(status)

    # --- what is seen of it ---------------------------------------------------------------------------------------

    def running(self) -> Iterator[ContainerStatus]:
        return (s for s in list(self.machine.containers.values()) if s.state is ContainerState.RUNNING)

    def find(self, container_id: str) -> ContainerStatus | None:
        return self.machine.containers.get(container_id)

    def endless(self) -> set[str]:
        """The runs that end only when they are stopped."""
        runs = (status.spec for status in self.running() if script_of(status.spec).run_ms == FOREVER)
        return {f"{spec.name}#{spec.attempt} of {spec.labels.get(POD_NAME_LABEL)} ({spec.id[:8]})" for spec in runs}

    def list_devices(self) -> tuple[Device, ...]:
        return tuple(self._loop.run_until_complete(self.devices.list_devices()))

    @property
    def volumes_of(self) -> frozenset[str]:
        """Uids of the pods that have volumes here."""
        return frozenset(self._storage.volumes)


def uid_of(status: ContainerStatus) -> str:
    return status.spec.labels.get(POD_UID_LABEL, "")

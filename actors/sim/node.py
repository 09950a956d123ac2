"""One simulated node: the nodelet's real core and verbs over fake ports, with lost, slow and failing operations.

The machine outlives the nodelet, as real containers do; `die` is the machine's own death, after which it comes back
empty, as after a reboot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from functools import partial

from actors.api.codec import lens
from actors.api.errors import Unavailable
from actors.api.key import Key, Stored
from actors.api.node import Node
from actors.nodelet.attempts import POD_UID_LABEL
from actors.nodelet.config import NodeletConfig
from actors.nodelet.core import NodeletCore
from actors.nodelet.executor import Executor, Ports
from actors.nodelet.facts import NodeFacts
from actors.nodelet.operations import Operation, Result
from actors.plugins.device.fake import FakeDevices
from actors.plugins.errors import PluginError
from actors.plugins.image.fake import FakeImages
from actors.plugins.image.port import ImageConfig
from actors.plugins.network.fake import FakeNetwork
from actors.plugins.runtime.fake import FOREVER, FakeMachine, FakeRuntime
from actors.plugins.runtime.port import ContainerState, ContainerStatus
from actors.plugins.storage.fake import FakeStorage
from actors.sim.faults import Faults
from actors.sim.invariants import Invariants
from actors.sim.participant import Participant
from actors.sim.scenarios import script_of
from actors.sim.store import SimStore
from actors.sim.timeline import Timeline
from actors.sim.trace import Trace

_GPUS = 2
_OPERATION_MS = (1, 40)
_SLOW_MS = (1_000, 20_000)
_EVENT_MS = (0, 5)
_REBOOT_MS = (20_000, 120_000)


class _Reads:
    """The one call of the store that the node's verbs make."""

    def __init__(self, store: SimStore) -> None:
        self._store = store

    async def get(self, key: Key, revision: int = 0) -> Stored:
        if not self._store.is_up:
            raise Unavailable("the store is restarting")
        return self._store.get(key)


class SimNode:
    def __init__(
        self,
        name: str,
        index: int,
        invariants: Invariants,
        store: SimStore,
        timeline: Timeline,
        faults: Faults,
        trace: Trace,
    ) -> None:
        self.name, self._index = name, index
        self._invariants, self._store = invariants, store
        self._timeline, self._faults, self._trace = timeline, faults, trace
        self._loop = asyncio.new_event_loop()
        self.is_alive = True
        self._boot()
        self.participant: Participant[NodeletCore] = Participant(
            name, self._start, store, timeline, faults, trace, "nodelet_crash"
        )
        self.participant.on_turn = self._issue

    # --- the machine ----------------------------------------------------------------------------------------------

    def _boot(self) -> None:
        self.machine = FakeMachine()
        self.machine.subscribers.append(self)  # type: ignore[arg-type]  # of a queue, only put_nowait is used
        self._images = FakeImages(lambda: self._timeline.now)
        self._images.publish("sim:1", ImageConfig(entrypoint=("/sim",)))
        self._network = FakeNetwork()
        self._loop.run_until_complete(self._network.setup(f"10.88.{self._index}.0/24"))
        self._storage, self._devices = FakeStorage(), FakeDevices(_GPUS)
        self._runtime = FakeRuntime(
            self.machine, self._images, self._network, lambda: self._timeline.now, script_of, self._fault
        )

    def _fault(self, verb: str, name: str) -> PluginError | None:
        if verb.startswith("list_") or not self._faults.strikes("plugin_failure"):
            return None
        return PluginError("runtime", verb, "SimulatedFailure", f"{verb} {name} failed, as simulated")

    def die(self) -> None:
        """Power off. What ran is gone; some time later the machine is back, empty."""
        if not self.is_alive:
            return
        self._trace.add(self._timeline.now, self.name, "dies")
        self.is_alive = False
        self._invariants.starts.node_lost({self.uid_of(status) for status in self.machine.containers.values()})
        self.participant.crash(restart=False)
        self.machine.subscribers.clear()
        self._timeline.after(self._faults.delay(*_REBOOT_MS), self.revive)

    def revive(self) -> None:
        if self.is_alive:
            return
        self._trace.add(self._timeline.now, self.name, "boots")
        self.is_alive = True
        self._boot()
        self.participant.restart()

    # --- the nodelet -----------------------------------------------------------------------------------------------

    def _start(self, life: int) -> NodeletCore:
        core = NodeletCore(self.name, NodeletConfig())
        ports = Ports(self._runtime, self._images, self._storage, self._devices)
        reads = _Reads(self._store)
        self._executor = Executor(core, ports, reads, lambda: self._timeline.now, asyncio.Event())  # type: ignore[arg-type]
        devices = tuple(self._loop.run_until_complete(self._devices.list_devices()))
        facts = NodeFacts(
            address=f"192.0.2.{self._index + 1}",
            hostname=self.name,
            cpu_millis=4_000,
            memory_bytes=8 << 30,
            storage_bytes=100 << 30,
            pod_cidr=f"10.88.{self._index}.0/24",
            logs_dir="/sim/logs",
            devices=devices,
        )
        core.learn(facts, self._timeline.now)
        return core

    def _issue(self) -> None:
        """Begin what the core asks for; each ends some time later, and its answer may be lost with a crash."""
        for operation in self.participant.core.operations(self._timeline.now):
            slow = self._faults.strikes("plugin_slow")
            delay = self._faults.delay(*(_SLOW_MS if slow else _OPERATION_MS))
            self._timeline.after(delay, partial(self._perform, operation, self.participant.life))

    def _perform(self, operation: Operation, life: int) -> None:
        if not self.is_alive or life != self.participant.life:
            return
        result = self._loop.run_until_complete(self._executor.attempt(operation))
        if self._faults.strikes("result_lost"):
            return
        self._timeline.after(self._faults.delay(*_EVENT_MS), partial(self._completed, operation, result, life))

    def _completed(self, operation: Operation, result: Result, life: int) -> None:
        if self.is_alive and life == self.participant.life:
            self.participant.core.completed(operation, result, self._timeline.now)
            self.participant.turn()

    # --- the machine's events --------------------------------------------------------------------------------------

    def put_nowait(self, status: ContainerStatus) -> None:
        """A container started or ended, now: the laws see it at once, the nodelet a little later, or never."""
        uid = self.uid_of(status)
        self._trace.add(self._timeline.now, self.name, f"{status.state} {status.spec.id} {status.exit_code}")
        if status.state is ContainerState.RUNNING:
            self._invariants.starts.started(self.name, uid, status.spec)
            run_ms = script_of(status.spec).run_ms
            if run_ms != FOREVER:
                self._timeline.after(run_ms, self._runtime.tick)
        elif status.state is ContainerState.EXITED:
            self._invariants.starts.ended(uid, status.spec)
        if not self._faults.strikes("launcher_event_lost"):
            life = self.participant.life
            self._timeline.after(self._faults.delay(*_EVENT_MS), partial(self._hear, status, life))

    def _hear(self, status: ContainerStatus, life: int) -> None:
        if self.is_alive and life == self.participant.life:
            self.participant.core.container_event(status, self._timeline.now)
            self.participant.turn()

    # --- what the checks read --------------------------------------------------------------------------------------

    def uid_of(self, status: ContainerStatus) -> str:
        return status.spec.labels.get(POD_UID_LABEL, "")

    def running(self) -> Iterator[ContainerStatus]:
        return (s for s in self.machine.containers.values() if s.state is ContainerState.RUNNING)

    def allocatable(self) -> Mapping[str, str | int | float]:
        stored = self._store.find(Key("nodes", "", self.name))
        return (lens(stored, Node).status.allocatable or {}) if stored else {}

    def close(self) -> None:
        self._loop.close()

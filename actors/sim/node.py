"""One simulated node: the nodelet's real core and verbs on a machine, with lost, slow, repeated and failing operations.

The machine outlives the nodelet, as real containers do; `die` is the machine's own death, after which it comes back
empty, as after a reboot.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from actors.api.clock import Millis
from actors.api.errors import Unavailable
from actors.api.key import Key, Stored
from actors.nodelet.config import NodeletConfig
from actors.nodelet.core import NodeletCore
from actors.nodelet.executor import Executor
from actors.nodelet.facts import NodeFacts
from actors.nodelet.operations import CANCELLED, Failure, Operation, Result, UpdateContainer
from actors.plugins.runtime.port import ContainerState, ContainerStatus
from actors.sim.faults import Faults
from actors.sim.laws.machines import MachineLaws
from actors.sim.machine import SimMachine, uid_of
from actors.sim.participant import Participant
from actors.sim.store import SimStore
from actors.sim.timeline import Clock, Timeline
from actors.sim.trace import Trace

_OPERATION_MS = (1, 40)
_SLOW_MS = (1_000, 20_000)
_EVENT_MS = (0, 5)
_LATE_MS = (100, 8_000)
_LOST_MS_MAX = 60_000  # a pull is waited for for an hour: longer than any seed


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
        index: int,
        laws: MachineLaws,
        clock: Clock,
        store: SimStore,
        timeline: Timeline,
        faults: Faults,
        trace: Trace,
    ) -> None:
        self.name, self._index, self._clock = f"node-{index}", index, clock
        self._laws, self._store = laws, store
        self._timeline, self._faults, self._trace = timeline, faults, trace
        self.is_alive = True
        self.machine = SimMachine(f"10.88.{index}.0/24", timeline, clock, faults, self._changed)
        self._pending: dict[int, Operation] = {}
        self._issued = self._deaths = 0
        self.participant: Participant[NodeletCore] = Participant(
            self.name, self._start, clock, store, timeline, faults, trace, "nodelet_crash"
        )
        self.participant.on_turn = self._issue

    # --- the machine ----------------------------------------------------------------------------------------------

    def die(self, away_ms: Millis) -> None:
        """Power off. What ran is gone; `away_ms` later the machine is back, empty."""
        if self.is_alive:
            self.is_alive = False
            self._laws.died(self.name)
            self.machine.power_off()
            self.participant.crash(restart=False)
        self._deaths += 1
        death = self._deaths
        self._timeline.after(away_ms, lambda: self.revive() if death == self._deaths else None)

    def revive(self) -> None:
        if not self.is_alive:
            self._trace.add(self._timeline.now, self.name, "boots")
            self.is_alive = True
            self.machine.boot()
            self.participant.restart()

    def close(self) -> None:
        self.machine.close()

    # --- the nodelet -----------------------------------------------------------------------------------------------

    def _start(self) -> NodeletCore:
        core = NodeletCore(self.name, NodeletConfig())
        store: Any = _Reads(self._store)
        self._executor = Executor(core, self.machine.ports, store, self._clock.now, asyncio.Event())
        self._pending = {}
        core.learn(self._facts(), self._clock.now())
        return core

    def _facts(self) -> NodeFacts:
        return NodeFacts(
            address=f"192.0.2.{self._index + 1}",
            hostname=self.name,
            cpu_millis=4_000,
            memory_bytes=8 << 30,
            storage_bytes=100 << 30,
            pod_cidr=f"10.88.{self._index}.0/24",
            logs_dir="/sim/logs",
            devices=self.machine.list_devices(),
        )

    def learn(self) -> None:
        """Something of the machine has changed (its devices): tell the nodelet, if there is one."""
        if self.is_alive:
            self.participant.core.learn(self._facts(), self._clock.now())
            self.participant.turn()

    def _issue(self) -> None:
        """Begin what the core asks for, give up what it no longer wants."""
        for operation in self.participant.core.operations(self._clock.now()):
            self._issued += 1
            self._pending[self._issued] = operation
            slow = self._faults.strikes("plugin_slow")
            delay = self._faults.delay(*(_SLOW_MS if slow else _OPERATION_MS))
            self._timeline.after(delay, partial(self._perform, self._issued, self.participant.life))
        abandoned = self.participant.core.abandoned()
        for number, operation in list(self._pending.items()):
            if operation in abandoned:
                del self._pending[number]
                given_up = Failure(reason=CANCELLED, message=f"{operation.slot} was given up")
                self._answer(operation, given_up, self.participant.life)

    def _perform(self, number: int, life: int) -> None:
        """The work is done whole, at one moment; its answer may come late, twice, or never."""
        if not self.is_alive or life != self.participant.life or number not in self._pending:
            return
        operation = self._pending.pop(number)
        result = self.machine.run(self._executor.attempt(operation))
        if isinstance(operation, UpdateContainer) and (status := self.machine.find(operation.container_id)) is not None:
            self._laws.resized(status)
        if operation.timeout_ms > _LOST_MS_MAX or not self._faults.strikes("result_lost"):
            self._answer(operation, result, life)
        if self._faults.strikes("result_repeated"):
            self._answer(operation, result, life)

    def _answer(self, operation: Operation, result: Result, life: int) -> None:
        late = self._faults.strikes("result_slow")
        self._timeline.after(
            self._faults.delay(*(_LATE_MS if late else _EVENT_MS)), partial(self._completed, operation, result, life)
        )

    def _completed(self, operation: Operation, result: Result, life: int) -> None:
        if self.is_alive and life == self.participant.life:
            self.participant.core.completed(operation, result, self._clock.now())
            self.participant.turn()

    # --- the machine's events --------------------------------------------------------------------------------------

    def _changed(self, status: ContainerStatus) -> None:
        """A container started or ended, now: the laws see it at once, the nodelet a little later, or never."""
        uid, spec = uid_of(status), status.spec
        what = "runs" if status.state is ContainerState.RUNNING else f"ended with {status.exit_code}"
        self._trace.add(
            self._timeline.now, self.name, f"{spec.name}#{spec.attempt} of {self._laws.name_of(uid)} {what}"
        )
        self._laws.changed(self.name, uid, status)
        if not self._faults.strikes("launcher_event_lost"):
            self._timeline.after(self._faults.delay(*_EVENT_MS), partial(self._hear, status, self.participant.life))

    def _hear(self, status: ContainerStatus, life: int) -> None:
        if self.is_alive and life == self.participant.life:
            self.participant.core.container_event(status, self._clock.now())
            self.participant.turn()

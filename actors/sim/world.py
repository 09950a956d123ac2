"""A whole simulated cluster: store, scheduler, controllers, nodes and users, two phases.

First faults are on and safety must hold after every commit; then everything is calm, and the cluster must come to
what its users asked for and stay there (TigerBeetle's two phases).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec

from actors.api.clock import Millis
from actors.controllers.config import ControllersConfig
from actors.controllers.core import ControllersCore
from actors.controllers.profile import all_controllers
from actors.reconcile.actions import Reply, StoreWrite
from actors.scheduler.config import SchedulerConfig
from actors.scheduler.core import SchedulerCore
from actors.sim.convergence import find_unfinished
from actors.sim.faults import FaultRates, Faults
from actors.sim.invariants import Breach, Invariants
from actors.sim.node import SimNode
from actors.sim.participant import Participant
from actors.sim.scenarios import User
from actors.sim.store import SimStore
from actors.sim.timeline import EPOCH_MS, Timeline
from actors.sim.trace import Trace
from actors.store.bootstrap import bootstrap_writes

_RETRY_MS = 500


class SimConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How long and how wild. Times are virtual."""

    nodes: int = 3
    faulty_ms: Millis = 60_000
    calm_ms: Millis = 900_000
    wish_ms_max: Millis = 3_000
    node_deaths: int = 1
    partitions: int = 2
    rates: FaultRates = FaultRates()


class World:
    def __init__(self, seed: int, config: SimConfig | None = None) -> None:
        self.seed, self.config = seed, config or SimConfig()
        self.timeline, self.trace = Timeline(), Trace()
        self.faults = Faults(seed, self.config.rates)
        self.invariants = Invariants()
        self.store = SimStore(seed, self.timeline, self.faults, self.trace)
        self.store.on_commit.append(self.invariants.see)
        self.user = User(seed)
        self._wishes = 0
        self._submit(bootstrap_writes(6443))
        parts = (self.store, self.timeline, self.faults, self.trace)
        self.scheduler = Participant("scheduler", lambda life: SchedulerCore(SchedulerConfig()), *parts)
        self.controllers = Participant(
            "controllers", lambda life: ControllersCore(all_controllers(ControllersConfig())), *parts
        )
        self.nodes = [SimNode(f"node-{i}", i, self.invariants, *parts) for i in range(self.config.nodes)]

    # --- a run ------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Raises Breach when a law is broken or the cluster does not come to rest."""
        self._plan_trouble()
        self._wish()
        self.timeline.run_until(EPOCH_MS + self.config.faulty_ms)
        self.faults.calm()
        self._heal()
        end = self.timeline.now + self.config.calm_ms
        while self.timeline.now < end:
            self.timeline.run_until(self.timeline.now + 5_000)
            if not find_unfinished(self):
                break
        self.timeline.run_until(self.timeline.now + 20_000)
        unfinished = find_unfinished(self)
        if unfinished:
            raise Breach("the cluster does not come to rest: " + "; ".join(unfinished[:5]))

    # --- users ------------------------------------------------------------------------------------------------------

    def _wish(self) -> None:
        if self.timeline.now >= EPOCH_MS + self.config.faulty_ms:
            return
        self._submit([self.user.next_write()])
        self.timeline.after(self.faults.delay(10, self.config.wish_ms_max), self._wish)

    def _submit(self, writes: Sequence[StoreWrite]) -> None:
        """Again and again, under one key, until it is acknowledged."""
        self._wishes += 1
        key, done = f"user/{self._wishes}", False

        def hear(_replies: Sequence[Reply]) -> None:
            nonlocal done
            done = True

        def attempt() -> None:
            if not done:
                self.store.commit(writes, key, hear)
                self.timeline.after(_RETRY_MS, attempt)

        attempt()

    # --- trouble ----------------------------------------------------------------------------------------------------

    def _plan_trouble(self) -> None:
        for _ in range(self.config.node_deaths):
            node = self.faults.random.choice(self.nodes)
            self.timeline.after(self.faults.delay(5_000, self.config.faulty_ms), node.die)
        for _ in range(self.config.partitions):
            victim = self.faults.random.choice(self._participants())
            start, length = self.faults.delay(0, self.config.faulty_ms), self.faults.delay(500, 30_000)
            self.timeline.after(start, partial(self._connect, victim, False))
            self.timeline.after(start + length, partial(self._connect, victim, True))

    def _participants(self) -> list[Participant[Any]]:
        return [self.scheduler, self.controllers, *(node.participant for node in self.nodes)]

    def _connect(self, participant: Participant[Any], connected: bool) -> None:
        self.trace.add(self.timeline.now, participant.name, "connected" if connected else "cut off")
        participant.is_connected = connected

    def _heal(self) -> None:
        self.trace.add(self.timeline.now, "world", "calm")
        for participant in self._participants():
            participant.is_connected = True
        for node in self.nodes:
            node.revive()

    def close(self) -> None:
        for node in self.nodes:
            node.close()

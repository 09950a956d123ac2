"""A whole simulated cluster: store, scheduler, controllers, nodes and users, two phases.

First faults are on and safety must hold after every commit; then everything is calm, and the cluster must come to
what its users asked for and stay there (TigerBeetle's two phases). Some seeds are calm from the start: there laws
hold that faults may break.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from actors.api.clock import Millis
from actors.controllers.config import ControllersConfig
from actors.controllers.core import ControllersCore
from actors.controllers.profile import all_controllers
from actors.reconcile.actions import Reply, StoreWrite
from actors.scheduler.config import SchedulerConfig
from actors.scheduler.core import SchedulerCore
from actors.sim import trouble
from actors.sim.faults import CALM, FaultRates, Faults, draw_rates
from actors.sim.laws import Breach, Laws
from actors.sim.link import Link
from actors.sim.node import SimNode
from actors.sim.participant import Participant
from actors.sim.rest.caches import find_untrue, is_heartbeat
from actors.sim.rest.leftovers import find_leftovers
from actors.sim.rest.look import Look
from actors.sim.rest.pods import find_untold
from actors.sim.store import SimStore
from actors.sim.timeline import EPOCH_MS, Clock, Timeline
from actors.sim.trace import Trace
from actors.sim.trouble import Trouble, TroubleConfig
from actors.sim.users import Users
from actors.sim.users.scenario import check_answer
from actors.sim.watcher import SELECTIONS, Watcher

_SKEW_MS_MAX = 3_000
_LOOK_MS: Millis = 5_000
_CALM_LOOKS = 4
#: Of so many seeds one is calm.
_CALM_EVERY = 8


class SimConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How long and how wild. Times are virtual."""

    nodes: int = 3
    busy_ms: Millis = 60_000
    calm_ms: Millis = 900_000
    wish_ms_max: Millis = 1_500
    rates: FaultRates = FaultRates()
    trouble: TroubleConfig = TroubleConfig()

    @property
    def is_calm(self) -> bool:
        return self.rates == CALM and self.trouble == trouble.NONE


def draw_config(seed: int) -> SimConfig:
    """What the seed says about the cluster and about how bad its day is."""
    random_ = random.Random(f"config/{seed}")
    config = SimConfig(nodes=random_.choice((1, 2, 3, 3, 4)), busy_ms=random_.randint(20_000, 80_000))
    if seed % _CALM_EVERY == 0:
        return msgspec.structs.replace(config, rates=CALM, trouble=trouble.NONE)
    return msgspec.structs.replace(config, rates=draw_rates(seed))


class World:
    def __init__(self, seed: int, config: SimConfig | None = None, trace: Trace | None = None) -> None:
        self.seed, self.config = seed, config or draw_config(seed)
        self.timeline, self.trace = Timeline(), trace or Trace()
        self.faults = Faults(seed, self.config.rates)
        self._clocks: dict[str, Clock] = {}
        self.laws = Laws(lambda node: self._clock(node).has_jumped, self._may_have_twin, self.config.is_calm)
        self.store = SimStore(seed, self.timeline, self._clock("store"), self.faults, self.trace)
        self.store.on_durable.append(self.laws.durable)
        self.store.on_answer.append(self.laws.answered)
        self.store.on_restart.append(self.laws.restarted)
        self._users_link = Link(self.store, self.timeline, self.faults)
        self._commits = 0
        self._is_settled = False
        self.store.bootstrap()
        self.nodes = [self._node(index) for index in range(self.config.nodes)]
        self.scheduler = self._participant("scheduler", lambda: SchedulerCore(SchedulerConfig()))
        self.controllers = self._controllers("controllers")
        self._watchers = [self._watcher(name) for name in SELECTIONS]
        names, objects = [node.name for node in self.nodes], lambda: self.laws.mirror.objects
        self.users = Users(seed, names, objects, self.config.is_calm)
        participants = (self.scheduler, self.controllers, *self._watchers, *(node.participant for node in self.nodes))
        self._trouble = Trouble(
            self.nodes,
            participants,
            self._clocks,
            self.store,
            self.timeline,
            self.faults,
            self.trace,
            self.order,
            lambda: self._controllers("twin"),
        )

    def _clock(self, name: str) -> Clock:
        if name not in self._clocks:
            skew_ms = 0 if self.config.is_calm else self.faults.delay(-_SKEW_MS_MAX, _SKEW_MS_MAX)
            self._clocks[name] = Clock(self.timeline, skew_ms)
        return self._clocks[name]

    def _may_have_twin(self) -> bool:
        return self._trouble.may_have_twin(self.controllers.core.view.revision)

    def _participant(self, name: str, start: Callable[[], Any]) -> Participant[Any]:
        return Participant(name, start, self._clock(name), self.store, self.timeline, self.faults, self.trace)

    def _controllers(self, name: str) -> Participant[ControllersCore]:
        return self._participant(name, lambda: ControllersCore(all_controllers(ControllersConfig(ca_pem="SIMULATED"))))

    def _watcher(self, name: str) -> Participant[Watcher]:
        return self._participant(name, lambda: Watcher(name, SELECTIONS[name]))

    def _node(self, index: int) -> SimNode:
        clock = self._clock(f"node-{index}")
        return SimNode(index, self.laws.machines, clock, self.store, self.timeline, self.faults, self.trace)

    # --- a run ------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Raises Breach when a law is broken or the cluster does not come to rest."""
        self._trouble.plan(self.config.trouble, self.config.busy_ms)
        self._wish()
        self.timeline.run_until(EPOCH_MS + self.config.busy_ms)
        self.trace.add(self.timeline.now, "world", "calm")
        self.faults.calm()
        self._trouble.heal()
        self._come_to_rest()
        self._restart_everything()
        self._come_to_rest()

    def _restart_everything(self) -> None:
        """All of the control plane dies at once, at rest: what runs for ever must not notice."""
        nodes = [node for node in self.nodes if node.is_alive]
        before = {run for node in nodes for run in node.machine.endless()}
        self.store.crash()
        for participant in (self.scheduler, self.controllers, *self._watchers, *(node.participant for node in nodes)):
            participant.crash()
        self.timeline.run_until(self.timeline.now + _LOOK_MS)
        gone = before - {run for node in nodes for run in node.machine.endless()}
        if gone:
            raise Breach(f"a restart of the control plane stopped {sorted(gone)}")

    def _come_to_rest(self) -> None:
        """At rest is what stays at rest: several looks in a row find nothing to be done."""
        end, calm_looks = self.timeline.now + self.config.calm_ms, 0
        while calm_looks < _CALM_LOOKS:
            self.timeline.run_until(self.timeline.now + _LOOK_MS)
            unfinished = list(self.find_unfinished())
            calm_looks = 0 if unfinished else calm_looks + 1
            if unfinished and self.timeline.now >= end:
                raise Breach("the cluster does not come to rest: " + "; ".join(unfinished[:5]))

    def find_unfinished(self) -> Iterator[str]:
        """Sentences about what is not as it should be; none at rest."""
        if not self.store.is_up or not self._is_settled:
            yield "the users are not done yet" if self.store.is_up else "the store is down"
            return
        for watcher in self._watchers:
            yield from watcher.core.untrue(self.store, lambda key: not is_heartbeat(key))
        look = Look(self.store)
        yield from find_untrue(look, self.scheduler.core, self.controllers.core)
        yield from self.users.unfinished(look)
        nodes = [node for node in self.nodes if node.name not in self._trouble.lost]
        yield from find_untold(look, nodes, self.timeline.now)
        yield from find_leftovers(look, nodes)

    def close(self) -> None:
        for node in self.nodes:
            node.close()

    # --- users ------------------------------------------------------------------------------------------------------

    def _wish(self) -> None:
        """One wish after the other, each when the one before was answered; in the end they settle."""
        if self.timeline.now >= EPOCH_MS + self.config.busy_ms:
            self._submit(self.users.settle(), self._settled)
            return
        write = self.users.next_write()

        def hear(replies: Sequence[Reply]) -> None:
            check_answer(write, replies[0])
            self.timeline.after(self.faults.delay(10, self.config.wish_ms_max), self._wish)

        self._submit([write], hear)

    def _settled(self, replies: Sequence[Reply]) -> None:
        self._is_settled = True

    def order(self, write: StoreWrite) -> None:
        """A user writes this now, beside what the seed's users do."""
        self._submit([write], lambda replies: None)

    def _submit(self, writes: Sequence[StoreWrite], hear: Callable[[Sequence[Reply]], None]) -> None:
        """Users are patient: what was not answered in time they ask again, under the same key."""
        self._commits += 1
        key = f"user/{self._commits}"

        def attempt() -> None:
            self._users_link.commit(writes, key, hear, give_up=attempt, is_wanted=lambda: True)

        attempt()

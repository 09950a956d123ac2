"""All laws over one history. Checked after every durable commit, every answer, every restart, every start of a
container; `calm` adds those that only faults may break.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from actors.reconcile.actions import Reply
from actors.sim.laws.calm import CordonsHold, GoneMeansStopped, RollingKeepsAvailable
from actors.sim.laws.daemons import DaemonsStayAvailable, OneDaemonPerNode
from actors.sim.laws.history import FinalizersHold, GenerationsAreObserved, Mirror, NamespacesHold, RevisionsGrow
from actors.sim.laws.indexes import IndexesFailByThemselves
from actors.sim.laws.law import Breach, Law, read
from actors.sim.laws.machines import MachineLaws
from actors.sim.laws.nodes import NodesHoldTheirPods
from actors.sim.laws.pods import AddressesAreUnique, FinishedIsFinal, RestartsGrow, TimesMakeSense
from actors.sim.laws.quotas import QuotasAreExact
from actors.sim.laws.stateful import StatefulPodsComeInOrder, StatefulPodsGoOneAtATime
from actors.sim.laws.workloads import JobsCountRight, NeverTooMany
from actors.store.engine import Engine
from actors.store.record import Batch

__all__ = ["Breach", "Laws"]


class Laws:
    """`clock_has_jumped` tells of a node's clock that times by it prove nothing, `has_twin` that the controllers may be
    there twice."""

    def __init__(
        self, clock_has_jumped: Callable[[str], bool], has_twin: Callable[[], bool], is_calm: bool = False
    ) -> None:
        self.machines, self.mirror = MachineLaws(clock_has_jumped), Mirror()
        self._addresses, self._quotas = AddressesAreUnique(), QuotasAreExact()
        self._laws: list[Law] = [
            self.machines,
            self.mirror,
            RevisionsGrow(),
            FinalizersHold(),
            NamespacesHold(),
            GenerationsAreObserved(),
            NodesHoldTheirPods(),
            FinishedIsFinal(),
            RestartsGrow(),
            TimesMakeSense(clock_has_jumped),
            self._addresses,
            self._quotas,
            NeverTooMany(has_twin),
            JobsCountRight(),
            IndexesFailByThemselves(has_twin),
            StatefulPodsComeInOrder(has_twin),
            OneDaemonPerNode(has_twin),
        ]
        if is_calm:
            self._laws += [GoneMeansStopped(self.machines), RollingKeepsAvailable(), CordonsHold()]
            self._laws += [StatefulPodsGoOneAtATime(), DaemonsStayAvailable()]

    def durable(self, batch: Batch) -> None:
        for record in batch.records:
            sight = read(record)
            for law in self._laws:
                law.see(sight)
        self._addresses.settle()
        self._quotas.settle()

    def answered(self, key: str, replies: Sequence[Reply]) -> None:
        self.mirror.answered(key, replies)

    def restarted(self, engine: Engine) -> None:
        self.mirror.restarted(engine)

"""The users of a simulated cluster: all scenarios of one seed, asked for their next wish one at a time; and those who
change what the others have made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from actors.api.key import Key, Stored
from actors.reconcile.actions import StoreWrite
from actors.sim.rest.look import Look
from actors.sim.users.changers import Changers
from actors.sim.users.daemon_sets import DaemonSets
from actors.sim.users.deployments import Deployments
from actors.sim.users.jobs import Jobs
from actors.sim.users.meddlers import Meddlers
from actors.sim.users.namespaces import Namespaces
from actors.sim.users.operators import Operators
from actors.sim.users.pods import Pods
from actors.sim.users.quotas import Quotas
from actors.sim.users.replication_controllers import ReplicationControllers
from actors.sim.users.scenario import Draw, Scenario
from actors.sim.users.stateful_sets import StatefulSets

__all__ = ["Users"]

#: How often each scenario has its turn; some seeds leave some out.
_WEIGHTS = (4, 5, 4, 2, 2, 3, 1, 1, 1, 1)
#: How often pods that run are changed.
_CHANGED = 0.1
#: The first of them make something, the others disturb it.
_CREATORS = 8


class Users:
    """`objects`: what is in the store now. In the calm nobody meddles."""

    def __init__(
        self, seed: int, nodes: Sequence[str], objects: Callable[[], Mapping[Key, Stored]], is_calm: bool
    ) -> None:
        draw = Draw(seed)
        self._random = draw.random
        everyone: list[Scenario] = [
            Deployments(draw),
            Jobs(draw, is_calm),
            Pods(draw, is_calm),
            Namespaces(draw),
            Quotas(draw),
            StatefulSets(draw),
            DaemonSets(draw),
            ReplicationControllers(draw),
            Operators(draw, nodes, is_calm),
        ]
        if not is_calm:
            everyone.append(Meddlers(draw, objects))
        self._dice = Draw(-1 - seed)  # of their own: what the others wish for does not depend on who changes it
        self._changers = None if is_calm else Changers(self._dice, objects)
        self._scenarios = everyone
        self._weights = [weight * draw.random.choice((0, 1, 1, 2)) for weight in _WEIGHTS[: len(everyone)]]
        if not any(self._weights[:_CREATORS]):
            self._weights = list(_WEIGHTS[: len(everyone)])

    def next_write(self) -> StoreWrite:
        if self._changers is not None and self._dice.random.random() < _CHANGED:
            return self._dice.random.choice(self._changers.wishes())()
        (scenario,) = self._random.choices(self._scenarios, self._weights)
        return self._random.choice(scenario.wishes())()

    def settle(self) -> list[StoreWrite]:
        return [write for scenario in self._scenarios for write in scenario.settle()]

    def unfinished(self, look: Look) -> Iterable[str]:
        for scenario in self._scenarios:
            yield from scenario.unfinished(look)

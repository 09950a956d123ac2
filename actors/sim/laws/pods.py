"""Laws of pods, as the API shows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from actors.api.clock import parse_time
from actors.api.pod import ContainerStatus, Pod
from actors.controllers.pods import is_ready
from actors.sim.laws.law import Breach, Sight


def all_statuses(pod: Pod) -> tuple[ContainerStatus, ...]:
    return (*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ()))


class FinishedIsFinal:
    """A pod that succeeded or failed stays so, with the exit codes it had."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, dict[str, int]]] = {}

    def see(self, sight: Sight) -> None:
        pod = sight.obj
        if not isinstance(pod, Pod):
            return
        ended = {s.name: s.state.terminated.exit_code for s in all_statuses(pod) if s.state.terminated}
        before = self._known.get(pod.metadata.uid)
        if before and (pod.status.phase != before[0] or not before[1].items() <= ended.items()):
            raise Breach(f"pod {pod.metadata.name} was {before} and became {(pod.status.phase, ended)}")
        if pod.is_finished:
            self._known[pod.metadata.uid] = (pod.status.phase, ended)


class RestartsGrow:
    """A container's restart count never goes back: no run of it is forgotten or counted twice."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], int] = {}

    def see(self, sight: Sight) -> None:
        pod = sight.obj
        for status in all_statuses(pod) if isinstance(pod, Pod) else ():
            slot = (sight.obj.metadata.uid, status.name)
            if status.restart_count < self._known.get(slot, 0):
                raise Breach(
                    f"{sight.key}: container {status.name} was restarted {self._known[slot]} times "
                    f"and now {status.restart_count}"
                )
            self._known[slot] = status.restart_count


class TimesMakeSense:
    """A terminated container did not finish before it started, unless the clock of its node has jumped."""

    def __init__(self, clock_has_jumped: Callable[[str], bool]) -> None:
        self._clock_has_jumped = clock_has_jumped

    def see(self, sight: Sight) -> None:
        pod = sight.obj
        if not isinstance(pod, Pod) or self._clock_has_jumped(pod.spec.node_name):
            return
        for status in all_statuses(pod):
            ended = status.state.terminated
            if not (ended and ended.started_at and ended.finished_at):
                continue
            if parse_time(ended.finished_at) < parse_time(ended.started_at):
                raise Breach(f"{sight.key}: container {status.name} finished before it started")


class AddressesAreUnique:
    """After no commit two ready pods of a node show the same address: what is sent there is sent to one."""

    def __init__(self) -> None:
        self._places: dict[str, tuple[str, str]] = {}
        self._changed: set[tuple[str, str]] = set()

    def see(self, sight: Sight) -> None:
        pod = sight.obj
        if isinstance(pod, Pod) and pod.status.pod_ip and is_ready(pod) and not sight.removed:
            place = self._places[pod.metadata.uid] = (pod.spec.node_name, pod.status.pod_ip)
            self._changed.add(place)
        else:
            self._places.pop(sight.obj.metadata.uid, None)

    def settle(self) -> None:
        """The commit is seen, all of it."""
        changed, self._changed = self._changed, set()
        taken = Counter(place for place in self._places.values() if place in changed)
        for (node, address), count in taken.items():
            if count > 1:
                raise Breach(f"{count} ready pods on {node} have the address {address}")

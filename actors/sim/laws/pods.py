"""Laws of pods, as the API shows them."""

from __future__ import annotations

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
    """A terminated container did not finish before it started, unless the clock of its node went back."""

    def __init__(self, clock_went_back: Callable[[str], bool]) -> None:
        self._clock_went_back = clock_went_back

    def see(self, sight: Sight) -> None:
        pod = sight.obj
        if not isinstance(pod, Pod) or self._clock_went_back(pod.spec.node_name):
            return
        for status in all_statuses(pod):
            ended = status.state.terminated
            if not (ended and ended.started_at and ended.finished_at):
                continue
            if parse_time(ended.finished_at) < parse_time(ended.started_at):
                raise Breach(f"{sight.key}: container {status.name} finished before it started")


class AddressesAreUnique:
    """No two ready pods of a node show the same address: what is sent there is sent to one."""

    def __init__(self) -> None:
        self._holder: dict[tuple[str, str], str] = {}

    def see(self, sight: Sight) -> None:
        pod = sight.obj
        if not isinstance(pod, Pod) or not pod.status.pod_ip:
            return
        place, uid = (pod.spec.node_name, pod.status.pod_ip), pod.metadata.uid
        if sight.removed or not is_ready(pod):
            if self._holder.get(place) == uid:
                del self._holder[place]
        elif self._holder.setdefault(place, uid) != uid:
            raise Breach(f"pod {pod.metadata.name} has the address {place[1]} of another ready pod on {place[0]}")

"""Laws of StatefulSets: pods come one after the other, and go one at a time."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from actors.api.clock import Millis
from actors.api.meta import controller_of
from actors.api.pod import Pod
from actors.api.workloads import StatefulSet
from actors.controllers.pods import is_ready
from actors.controllers.rollout import share_of
from actors.sim.laws.law import Breach, Sight

#: So long after a set was scaled, pods may still go by what was asked before.
_NOTICED_MS: Millis = 1_000


class _Member(msgspec.Struct):
    uid: str
    was_ready: bool = False
    is_leaving: bool = False


class _Members:
    """What both laws remember: the sets that are there, and of each the newest pod of every ordinal."""

    def __init__(self) -> None:
        self.sets: dict[str, StatefulSet] = {}
        self.of: dict[str, dict[int, _Member]] = {}

    def set_of(self, pod: Pod) -> StatefulSet | None:
        owner = controller_of(pod.metadata)
        return self.sets.get(owner.uid) if owner is not None else None


def _ordinal(pod: Pod) -> int:
    return int(pod.metadata.name.rpartition("-")[2])


class StatefulPodsComeInOrder:
    """Of a set with OrderedReady, no pod is made before the newest of every lower ordinal has been ready once. (That
    it is so still, the controller cannot know.) Two controllers that both lead (`has_twin`) know nothing of each
    other."""

    def __init__(self, has_twin: Callable[[], bool] = lambda: False) -> None:
        self._has_twin, self._members = has_twin, _Members()

    def see(self, sight: Sight) -> None:
        obj = sight.obj
        if isinstance(obj, StatefulSet):
            self._members.sets[obj.metadata.uid] = obj
        elif isinstance(obj, Pod) and (stateful := self._members.set_of(obj)) is not None:
            self._see_pod(obj, stateful)

    def _see_pod(self, pod: Pod, stateful: StatefulSet) -> None:
        newest, ordinal = self._members.of.setdefault(stateful.metadata.uid, {}), _ordinal(pod)
        if ordinal not in newest or newest[ordinal].uid != pod.metadata.uid:
            newest[ordinal] = _Member(pod.metadata.uid)
            waits = stateful.spec.pod_management_policy == "OrderedReady" and not self._has_twin()
            for lower in range(ordinal) if waits else ():
                if lower not in newest or not newest[lower].was_ready:
                    raise Breach(f"pod {pod.metadata.name} is made before that of ordinal {lower} was ready")
        newest[ordinal].was_ready = newest[ordinal].was_ready or is_ready(pod)


def _allowed(stateful: StatefulSet) -> int:
    """How many may go at a time."""
    rolling = stateful.spec.update_strategy.rolling_update
    if rolling is None or rolling.max_unavailable is None:
        return 1
    return max(share_of(rolling.max_unavailable, stateful.spec.replicas, round_up=False), 1)


class StatefulPodsGoOneAtATime:
    """Where nothing goes wrong, a set with OrderedReady takes no pod down while another goes, nor does any set for an
    update, but as many as may be unavailable."""

    def __init__(self) -> None:
        self._members = _Members()
        self._scaled_ms: dict[str, Millis] = {}

    def see(self, sight: Sight) -> None:
        obj, uid = sight.obj, sight.obj.metadata.uid
        if isinstance(obj, StatefulSet):
            known = self._members.sets.pop(uid, None)
            if known is not None and known.spec.replicas != obj.spec.replicas:
                self._scaled_ms[uid] = sight.record.at
            if not sight.removed and not obj.metadata.is_deleting:
                self._members.sets[uid] = obj
        elif isinstance(obj, Pod) and (stateful := self._members.set_of(obj)) is not None:
            members = self._members.of.setdefault(stateful.metadata.uid, {})
            if sight.removed:
                members.pop(_ordinal(obj), None)
                return
            member = members.setdefault(_ordinal(obj), _Member(uid))
            if obj.metadata.is_deleting and not member.is_leaving:
                member.is_leaving = True
                self._see_leave(obj, stateful, members, sight.record.at)

    def _see_leave(self, pod: Pod, stateful: StatefulSet, members: dict[int, _Member], now: Millis) -> None:
        replicas, ordinal = stateful.spec.replicas, _ordinal(pod)
        others = [other for other, member in members.items() if member.is_leaving and other != ordinal]
        if stateful.spec.pod_management_policy != "OrderedReady":
            others = [other for other in others if other < replicas] if ordinal < replicas else []
        noticed = now - self._scaled_ms.get(stateful.metadata.uid, now - _NOTICED_MS) >= _NOTICED_MS
        if noticed and len(others) >= _allowed(stateful):
            raise Breach(f"pod {pod.metadata.name} is taken down while those of {others} go")

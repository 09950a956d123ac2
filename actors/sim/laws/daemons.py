"""Laws of DaemonSets: one pod a node, and an update that leaves enough of them."""

from __future__ import annotations

from collections.abc import Callable

from actors.api.clock import Millis
from actors.api.meta import controller_of
from actors.api.node import Node
from actors.api.pod import Pod
from actors.api.workloads import DaemonSet
from actors.controllers.daemon_pods import node_of
from actors.controllers.pods import is_ready
from actors.sim.laws.law import Breach, Sight

#: So long after a pod became ready everybody knows of it, where nothing goes wrong.
_NOTICED_MS: Millis = 1_000


class OneDaemonPerNode:
    """A DaemonSet has one live pod a node, with a surge two during an update; a pod that a user has taken from its
    selection is its no more. While two controllers both think that
    they lead (`has_twin`) each may make one: such a set is excused until the excess is gone."""

    def __init__(self, has_twin: Callable[[], bool] = lambda: False) -> None:
        self._has_twin = has_twin
        self._most: dict[str, int] = {}
        self._selected: dict[str, dict[str, str]] = {}
        self._live: dict[tuple[str, str], set[str]] = {}
        self._excused: set[tuple[str, str]] = set()

    def see(self, sight: Sight) -> None:
        obj = sight.obj
        if isinstance(obj, DaemonSet):
            rolling = obj.spec.update_strategy.rolling_update
            self._most[obj.metadata.uid] = 2 if rolling is not None and rolling.max_surge not in (0, "0%") else 1
            self._selected[obj.metadata.uid] = obj.spec.selector.match_labels or {}
        elif isinstance(obj, Pod):
            owner = controller_of(obj.metadata)
            if owner is not None and owner.uid in self._most:
                self._see_pod(obj, (owner.uid, node_of(obj)), sight.removed)

    def _see_pod(self, pod: Pod, place: tuple[str, str], removed: bool) -> None:
        live = self._live.setdefault(place, set())
        is_selected = self._selected[place[0]].items() <= (pod.metadata.labels or {}).items()
        gone = removed or pod.is_finished or pod.metadata.is_deleting or not is_selected
        (live.discard if gone else live.add)(pod.metadata.uid)
        if len(live) <= self._most[place[0]]:
            self._excused.discard(place)
        elif self._has_twin():
            self._excused.add(place)
        elif place not in self._excused:
            raise Breach(f"{place[1]} has {len(live)} daemon pods, {pod.metadata.name} is one of them")


class DaemonsStayAvailable:
    """Where nothing goes wrong, an update takes down no ready pod that leaves more nodes without one than
    maxUnavailable allows. What has just become ready may not be known to who decided."""

    def __init__(self) -> None:
        self._nodes: set[str] = set()
        self._sets: dict[str, DaemonSet] = {}
        self._ready: dict[str, dict[str, dict[str, Millis]]] = {}

    def see(self, sight: Sight) -> None:
        obj, uid = sight.obj, sight.obj.metadata.uid
        if isinstance(obj, Node):
            self._nodes.add(obj.metadata.name)
        elif isinstance(obj, DaemonSet):
            self._sets.pop(uid, None)
            if not sight.removed and not obj.metadata.is_deleting:
                self._sets[uid] = obj
        elif isinstance(obj, Pod):
            owner = controller_of(obj.metadata)
            if owner is not None and owner.uid in self._sets:
                self._see_pod(obj, self._sets[owner.uid], sight.record.at)

    def _see_pod(self, pod: Pod, daemon: DaemonSet, now: Millis) -> None:
        """`places`: of each node, since when which pods are ready."""
        places = self._ready.setdefault(daemon.metadata.uid, {})
        settled = sum(any(now - since > _NOTICED_MS for since in pods.values()) for pods in places.values())
        here = places.setdefault(node_of(pod), {})
        if is_ready(pod) and not pod.metadata.is_deleting:
            here.setdefault(pod.metadata.uid, now)
        elif here.pop(pod.metadata.uid, None) is not None:
            available = sum(bool(pods) for pods in places.values())
            floor = len(self._nodes) - _missing(daemon, len(self._nodes))
            if available < min(settled, floor):
                name = daemon.metadata.name
                raise Breach(f"daemon set {name} is available on {available} nodes, {floor} must be")


def _missing(daemon: DaemonSet, nodes: int) -> int:
    rolling = daemon.spec.update_strategy.rolling_update
    most = rolling.max_unavailable if rolling is not None else 1
    return most if isinstance(most, int) else -(-int(most.removesuffix("%")) * nodes // 100)

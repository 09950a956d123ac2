"""The scheduler's picture of the cluster: nodes as arrays and what every bound or assumed pod takes from its node.

A placement counts from the moment it is decided ("assume"); a refused bind takes it back. Older news never undoes
newer (reconcile.revisions), so a lagging watch cannot free what own binds have taken.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from actors.api.key import Key
from actors.api.node import NODE_DEVICES_ANNOTATION
from actors.api.pod import DEVICES_ANNOTATION
from actors.scheduler.cycle import Placement
from actors.scheduler.devices import parse_assignment, taken_by
from actors.scheduler.framework import Change
from actors.scheduler.nodes import Load, Node, Nodes
from actors.scheduler.shape import Pod, Shapes


class Tracked(msgspec.Struct, frozen=True):
    """What a pod takes, and where. `assumed` until a reply or an event confirms it."""

    node: str
    load: Load
    assumed: bool = False


class Cache:
    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        self.clear()

    def clear(self) -> None:
        self.nodes = Nodes()
        self._seen: dict[str, Node] = {}
        self._pods: dict[Key, Tracked] = {}
        self._on_node: dict[str, dict[Key, None]] = {}

    # -- pods

    def assume(self, placements: Sequence[Placement], nodes: Nodes) -> None:
        """Takes over the outcome of a pass: `nodes` have been charged already."""
        self.nodes = nodes
        for placement in placements:
            self._remember(placement.pod.key, Tracked(placement.node, placement.load, assumed=True))

    def tracked(self) -> list[Tracked]:
        return list(self._pods.values())

    def is_assumed(self, key: Key) -> bool:
        tracked = self._pods.get(key)
        return tracked is not None and tracked.assumed

    def put_pod(self, key: Key, pod: Pod) -> Change:
        """A bound pod that has not finished takes its share; any other takes none."""
        if not pod.spec.node_name or pod.is_finished:
            return self.release(key)
        devices = taken_by(parse_assignment(pod.metadata.annotation(DEVICES_ANNOTATION)))
        tracked = Tracked(pod.spec.node_name, Load(self._shapes.of(pod.sized), devices))
        before = self._pods.get(key)
        if before is None or (before.node, before.load) != (tracked.node, tracked.load):
            freed = self.release(key)
            self._track(key, tracked)
            return freed
        self._pods[key] = tracked
        return Change(0)

    def release(self, key: Key) -> Change:
        """The pod takes nothing any more."""
        tracked = self._pods.pop(key, None)
        if tracked is None:
            return Change(0)
        del self._on_node[tracked.node][key]
        row = self.nodes.rows.get(tracked.node)
        if row is not None:
            self.nodes.discharge(row, tracked.load)
        return Change.NODE_FREED

    def _track(self, key: Key, tracked: Tracked) -> None:
        self._remember(key, tracked)
        row = self.nodes.rows.get(tracked.node)
        if row is not None:
            self.nodes.charge(row, tracked.load)

    def _remember(self, key: Key, tracked: Tracked) -> None:
        self._pods[key] = tracked
        self._on_node.setdefault(tracked.node, {})[key] = None

    # -- nodes

    def put_node(self, node: Node) -> Change:
        before = self._seen.get(node.metadata.name)
        change = _compare(before, node)
        if before is not None and not change and _offers(before) == _offers(node):
            return change
        self._seen[node.metadata.name] = node
        if self.nodes.put(node):
            self._charge_anew()
        elif before is None:
            row = self.nodes.rows[node.metadata.name]
            for key in self._on_node.get(node.metadata.name, ()):
                self.nodes.charge(row, self._pods[key].load)
        return change

    def remove_node(self, name: str) -> None:
        if self._seen.pop(name, None) is not None:
            self.nodes.remove(name)

    def _charge_anew(self) -> None:
        """A resource was offered for the first time: requests for it, made before, begin to count."""
        self.nodes.reset_loads()
        for tracked in self._pods.values():
            row = self.nodes.rows.get(tracked.node)
            if row is not None:
                self.nodes.charge(row, tracked.load)


def _offers(node: Node) -> tuple[object, ...]:
    return (node.status.allocatable, node.metadata.annotation(NODE_DEVICES_ANNOTATION))


def _compare(before: Node | None, node: Node) -> Change:
    """What is new about the node that may help a pod."""
    if before is None:
        return Change.NODE_ADDED
    change = Change(0)
    if _offers(before) != _offers(node):
        change |= Change.NODE_FREED
    if before.spec != node.spec:
        change |= Change.NODE_TAINT
    if before.metadata.labels != node.metadata.labels:
        change |= Change.NODE_LABEL
    return change

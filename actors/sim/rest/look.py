"""The cluster as it lies in the store at one moment, read once: what the checks at rest ask."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import TypeVar

from actors.api.codec import lens
from actors.api.key import Key, Stored
from actors.api.meta import Resource
from actors.api.node import NODE_DEVICES_ANNOTATION, TAINT_UNSCHEDULABLE, Node, Taint
from actors.api.node_affinity import is_wanted
from actors.api.pod import Pod
from actors.api.quantity import parse_resource
from actors.api.toleration import is_tolerated
from actors.reconcile.view import RESOURCES
from actors.reconcile.watch import Selection
from actors.sim.laws.nodes import devices_of, requests_of
from actors.sim.store import SimStore

T = TypeVar("T", bound=Resource)
_CORDON = Taint(key=TAINT_UNSCHEDULABLE, effect="NoSchedule")


class Look:
    def __init__(self, store: SimStore) -> None:
        self.stored = {stored.key: stored for stored in store.list(Selection()).items}
        self._read: dict[Key, Resource] = {}
        self._used: dict[str, Counter[str]] = {}
        self._devices_used: dict[str, set[str]] = {}
        for pod in self.all(Pod):
            if pod.spec.node_name and not pod.is_finished:
                self._used.setdefault(pod.spec.node_name, Counter()).update(requests_of(pod))
                self._devices_used.setdefault(pod.spec.node_name, set()).update(devices_of(pod))

    def at(self, key: Key, shape: type[T]) -> T | None:
        stored = self.stored.get(key)
        return self._lens(stored, shape) if stored else None

    def get(self, shape: type[T], namespace: str, name: str) -> T | None:
        return self.at(Key(RESOURCES[shape], namespace, name), shape)

    def all(self, shape: type[T]) -> list[T]:
        return [self._lens(stored, shape) for key, stored in self.stored.items() if key.resource == RESOURCES[shape]]

    def _lens(self, stored: Stored, shape: type[T]) -> T:
        known = self._read.get(stored.key)
        if not isinstance(known, shape):
            known = self._read[stored.key] = lens(stored, shape)
        assert isinstance(known, shape)
        return known

    # --- is there room? -------------------------------------------------------------------------------------------

    def is_hopeless(self, pod: Pod) -> bool:
        """It waits for a node, and none would take it now: the simulated cluster is full, which is no defect."""
        if pod.spec.node_name or pod.is_finished or pod.metadata.is_deleting:
            return False
        return not any(self._fits(pod, node) for node in self.all(Node))

    def any_hopeless(self, pods: Iterable[Pod]) -> bool:
        return any(map(self.is_hopeless, pods))

    def used_on(self, node: str) -> Counter[str]:
        return self._used.get(node, Counter())

    def _fits(self, pod: Pod, node: Node) -> bool:
        name = node.metadata.name
        if not _bears(pod, [*(node.spec.taints or ()), *([_CORDON] if node.spec.unschedulable else [])]):
            return False
        if not is_wanted({"affinity": pod.spec.affinity or {}}, node):
            return False
        if _host_ports(pod) & {p for o in self.all(Pod) if o.spec.node_name == name for p in _host_ports(o)}:
            return False
        offered = {n: parse_resource(n, quantity) for n, quantity in (node.status.allocatable or {}).items()}
        for resource, amount in requests_of(pod).items():
            free = offered.get(resource, 0) - self.used_on(name)[resource]
            if resource.endswith("/gpu"):
                free = min(free, len(_healthy(node, resource) - self._devices_used.get(name, set())))
            if amount > free:
                return False
        return True


def _bears(pod: Pod, taints: Iterable[Taint]) -> bool:
    hard = [taint for taint in taints if taint.effect in ("NoSchedule", "NoExecute")]
    return all(is_tolerated(taint, pod.spec.tolerations) for taint in hard)


def _host_ports(pod: Pod) -> set[int]:
    if pod.is_finished:
        return set()
    return {port.host_port for c in pod.spec.containers for port in c.ports or () if port.host_port}


def _healthy(node: Node, resource: str) -> set[str]:
    rows = json.loads(node.metadata.annotation(NODE_DEVICES_ANNOTATION) or "{}").get(resource, [])
    return {row["id"] for row in rows if row.get("healthy", True)}

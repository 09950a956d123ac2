"""Laws of the scheduler, seen in the store: a node holds its pods, a device one pod, a pod stays where it is."""

from __future__ import annotations

import json
from collections import Counter

from actors.api.node import NODE_DEVICES_ANNOTATION, Node
from actors.api.pod import DEVICES_ANNOTATION, Pod
from actors.api.quantity import parse_resource
from actors.reconcile.conditions import find_condition
from actors.sim.laws.law import Breach, Sight


def requests_of(pod: Pod) -> Counter[str]:
    """What a pod occupies, by Kubernetes' rule: the larger of its containers' sum and any init container; each the most
    of what it asks for, is allocated and has, but for what its node can never give."""
    total: Counter[str] = Counter()
    most: Counter[tuple[str, str]] = Counter()
    told = {status.name: status for status in pod.status.container_statuses or ()}
    pending = find_condition(pod.status.conditions, "PodResizePending")
    for container in pod.spec.containers:
        status = told.get(container.name)
        has = (status.resources.requests if status and status.resources else None) or {}
        given = [(status.allocated_resources if status else None) or {}, has]
        hopeless = pending is not None and pending.reason == "Infeasible" and any(given)
        for source in given if hopeless else [container.resources.requests or {}, *given]:
            for name, quantity in source.items():
                most[container.name, name] = max(most[container.name, name], parse_resource(name, quantity))
    for (_, name), amount in most.items():
        total[name] += amount
    for container in pod.spec.init_containers or ():
        for name, quantity in (container.resources.requests or {}).items():
            total[name] = max(total[name], parse_resource(name, quantity))
    total["pods"] = 1
    return total


def devices_of(pod: Pod) -> set[str]:
    text = pod.metadata.annotation(DEVICES_ANNOTATION)
    chosen: dict[str, dict[str, list[str]]] = json.loads(text) if text else {}
    return {device for by_resource in chosen.values() for ids in by_resource.values() for device in ids}


class NodesHoldTheirPods:
    """No node is over-committed in any resource, no device belongs to two pods, and a pod is bound once.

    Devices that fail after the bind are the hardware's doing: what was promised is held against the most there was.
    Pods that grow are their users' doing: each counts the least that it has ever occupied.
    """

    def __init__(self) -> None:
        self._offers: dict[str, Counter[str]] = {}
        self._devices: dict[str, set[str]] = {}
        self._bound: dict[str, dict[str, Pod]] = {}
        self._node_of: dict[str, str] = {}
        self._least: dict[str, Counter[str]] = {}

    def see(self, sight: Sight) -> None:
        if isinstance(sight.obj, Node):
            self._see_node(sight.obj)
        elif isinstance(sight.obj, Pod):
            self._see_pod(sight.obj, sight.removed)

    def _see_node(self, node: Node) -> None:
        offered = self._offers.setdefault(node.metadata.name, Counter())
        for name, quantity in (node.status.allocatable or {}).items():
            offered[name] = max(offered[name], parse_resource(name, quantity))
        text = node.metadata.annotation(NODE_DEVICES_ANNOTATION)
        known = self._devices.setdefault(node.metadata.name, set())
        known |= {row["id"] for rows in (json.loads(text) if text else {}).values() for row in rows}

    def _see_pod(self, pod: Pod, removed: bool) -> None:
        uid, name = pod.metadata.uid, pod.spec.node_name
        before = self._node_of.get(uid, "")
        if before and name != before:
            raise Breach(f"pod {pod.metadata.name} moved from node {before} to {name!r}")
        if not name:
            return
        self._node_of[uid] = name
        pods = self._bound.setdefault(name, {})
        if removed or pod.is_finished:
            pods.pop(uid, None)
            return
        self._least[uid] = self._least[uid] & requests_of(pod) if uid in self._least else requests_of(pod)
        is_new = uid not in pods
        pods[uid] = pod
        if is_new:
            self._check_node(name)

    def _check_node(self, name: str) -> None:
        offered, pods = self._offers.get(name), self._bound[name].values()
        if offered is None:
            raise Breach(f"a pod is bound to node {name}, which never was")
        used: Counter[str] = Counter()
        for pod in pods:
            used.update(self._least[pod.metadata.uid])
        for resource, amount in used.items():
            if amount > offered[resource]:
                raise Breach(f"node {name} has {offered[resource]} {resource}, and {amount} are promised")
        devices = Counter(device for pod in pods for device in devices_of(pod))
        twice = [device for device, count in devices.items() if count > 1]
        if twice:
            raise Breach(f"devices {twice} of node {name} are given to two pods")
        if set(devices) - self._devices[name]:
            raise Breach(f"devices {sorted(set(devices) - self._devices[name])} are not of node {name}")

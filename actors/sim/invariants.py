"""What must never be seen, checked after every durable commit and at every start of a container.

Each law is one small class with its own memory. A breach raises `Breach`, which names the law, the object and the
revision; the driver adds the seed and how to replay it.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Protocol

from actors.api.clock import parse_time
from actors.api.codec import lens
from actors.api.key import Key
from actors.api.node import NODE_DEVICES_ANNOTATION, Node
from actors.api.pod import DEVICES_ANNOTATION, Pod
from actors.api.quantity import parse_resource
from actors.api.workloads import Job
from actors.plugins.runtime.port import ContainerSpec
from actors.store.record import Batch, Record


class Breach(AssertionError):
    """A law does not hold."""


class Law(Protocol):
    def see(self, record: Record) -> None:
        """One durable change, in order. Raises Breach."""
        ...


class RevisionsGrow:
    """No resourceVersion is used twice, none goes back, and no uid belongs to two objects."""

    def __init__(self) -> None:
        self._revision = 0
        self._owner_of_uid: dict[str, Key] = {}

    def see(self, record: Record) -> None:
        if record.revision <= self._revision:
            raise Breach(f"revision {record.revision} follows {self._revision}")
        self._revision = record.revision
        owner = self._owner_of_uid.setdefault(record.stored.uid, record.stored.key)
        if owner != record.stored.key:
            raise Breach(f"uid {record.stored.uid} of {owner} is given again to {record.stored.key}")


def requests_of(pod: Pod) -> Counter[str]:
    """What a pod occupies, by Kubernetes' rule: the larger of its containers' sum and any init container."""
    total: Counter[str] = Counter()
    for container in pod.spec.containers:
        for name, quantity in (container.resources.requests or {}).items():
            total[name] += parse_resource(name, quantity)
    for container in pod.spec.init_containers or ():
        for name, quantity in (container.resources.requests or {}).items():
            total[name] = max(total[name], parse_resource(name, quantity))
    return total


def devices_of(pod: Pod) -> set[str]:
    text = pod.metadata.annotation(DEVICES_ANNOTATION)
    chosen: dict[str, dict[str, list[str]]] = json.loads(text) if text else {}
    return {device for by_resource in chosen.values() for ids in by_resource.values() for device in ids}


class NodesHoldTheirPods:
    """No node is over-committed in any resource, no device belongs to two pods, and a pod is bound once."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._bound: dict[str, dict[str, Pod]] = {}
        self._node_of: dict[str, str] = {}

    def see(self, record: Record) -> None:
        if record.stored.key.resource == "nodes":
            node = lens(record.stored, Node)
            self._nodes[node.metadata.name] = node
        elif record.stored.key.resource == "pods":
            self._see_pod(lens(record.stored, Pod), record.removed)

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
        is_new = uid not in pods
        pods[uid] = pod
        if is_new:
            self._check_node(name)

    def _check_node(self, name: str) -> None:
        node, pods = self._nodes.get(name), self._bound[name].values()
        if node is None:
            raise Breach(f"a pod is bound to node {name}, which never was")
        used: Counter[str] = Counter()
        for pod in pods:
            used.update(requests_of(pod))
        used["pods"] = len(pods)
        for resource, quantity in (node.status.allocatable or {}).items():
            if used[resource] > parse_resource(resource, quantity):
                raise Breach(f"node {name} has {quantity} {resource}, and {used[resource]} are promised")
        devices = Counter(device for pod in pods for device in devices_of(pod))
        twice = [device for device, count in devices.items() if count > 1]
        if twice:
            raise Breach(f"devices {twice} of node {name} are given to two pods")
        self._check_known(node, set(devices))

    def _check_known(self, node: Node, devices: set[str]) -> None:
        text = node.metadata.annotation(NODE_DEVICES_ANNOTATION)
        known = {row["id"] for rows in (json.loads(text) if text else {}).values() for row in rows}
        if devices - known:
            raise Breach(f"devices {sorted(devices - known)} are not of node {node.metadata.name}")


class FinishedIsFinal:
    """A pod that succeeded or failed stays so, with the exit codes it had; a finished Job stays finished."""

    def __init__(self) -> None:
        self._pods: dict[str, tuple[str, tuple[tuple[str, int], ...]]] = {}
        self._jobs: dict[str, str] = {}

    def see(self, record: Record) -> None:
        if record.stored.key.resource == "pods":
            self._see_pod(lens(record.stored, Pod))
        elif record.stored.key.resource == "jobs.batch":
            self._see_job(lens(record.stored, Job))

    def _see_pod(self, pod: Pod) -> None:
        codes = tuple(
            (status.name, status.state.terminated.exit_code)
            for status in pod.status.container_statuses or ()
            if status.state.terminated
        )
        before = self._pods.get(pod.metadata.uid)
        if before and (pod.status.phase, codes) != before:
            raise Breach(f"pod {pod.metadata.name} was {before} and became {(pod.status.phase, codes)}")
        if pod.is_finished:
            self._pods[pod.metadata.uid] = (pod.status.phase, codes)

    def _see_job(self, job: Job) -> None:
        done = [c.type for c in job.status.conditions or () if c.status == "True" and c.type in ("Complete", "Failed")]
        before = self._jobs.get(job.metadata.uid)
        if before and done != [before]:
            raise Breach(f"job {job.metadata.name} was {before} and became {done}")
        if len(done) > 1:
            raise Breach(f"job {job.metadata.name} is both {done}")
        if done:
            self._jobs[job.metadata.uid] = done[0]
        wanted = job.spec.completions
        if wanted is not None and job.status.succeeded > wanted:
            raise Breach(f"job {job.metadata.name} counts {job.status.succeeded} successes of {wanted}")


class ControllersCountRight:
    """A ReplicaSet never has more live pods than it was ever asked for; a Job's index has one success only."""

    def __init__(self) -> None:
        self._asked: dict[str, int] = {}
        self._live: dict[str, set[str]] = {}
        self._parallel: dict[str, int] = {}

    def see(self, record: Record) -> None:
        resource = record.stored.key.resource
        if resource == "replicasets.apps":
            self._see_asked(record, "spec", "replicas")
        elif resource == "jobs.batch":
            self._see_asked(record, "spec", "parallelism")
        elif resource == "pods":
            self._see_pod(record)

    def _see_asked(self, record: Record, *path: str) -> None:
        value = json.loads(record.stored.body)
        for part in path:
            value = value.get(part) or {}
        uid = record.stored.uid
        self._asked[uid] = max(self._asked.get(uid, 0), value if isinstance(value, int) else 0)

    def _see_pod(self, record: Record) -> None:
        pod = lens(record.stored, Pod)
        owner = next((ref for ref in pod.metadata.owner_references or () if ref.controller), None)
        if owner is None:
            return
        live = self._live.setdefault(owner.uid, set())
        if record.removed or pod.is_finished or pod.metadata.is_deleting:
            live.discard(pod.metadata.uid)
            return
        live.add(pod.metadata.uid)
        if owner.uid in self._asked and len(live) > self._asked[owner.uid]:
            raise Breach(
                f"{owner.kind} {owner.name} has {len(live)} live pods, {self._asked[owner.uid]} were asked for"
            )


class TimesMakeSense:
    """A terminated container did not finish before it started."""

    def see(self, record: Record) -> None:
        if record.stored.key.resource != "pods":
            return
        for status in lens(record.stored, Pod).status.container_statuses or ():
            ended = status.state.terminated
            if not (ended and ended.started_at and ended.finished_at):
                continue
            if parse_time(ended.finished_at) < parse_time(ended.started_at):
                raise Breach(f"{record.stored.key}: container {status.name} finished before it started")


class StartsAreRight:
    """Seen at the node, not in the store: what is started, where, and how often."""

    def __init__(self, pods: dict[str, Pod]) -> None:
        self._pods = pods
        self._running: dict[tuple[str, str], str] = {}
        self._ended: set[tuple[str, str]] = set()

    def started(self, node: str, uid: str, spec: ContainerSpec) -> None:
        pod = self._pods.get(uid)
        if pod is None:
            raise Breach(f"node {node} starts {spec.id} of a pod that never was")
        if pod.spec.node_name != node:
            raise Breach(f"node {node} starts {spec.id} of a pod bound to {pod.spec.node_name!r}")
        slot = (uid, spec.name)
        if slot in self._running:
            raise Breach(f"{spec.id} is started while {self._running[slot]} runs")
        if pod.spec.restart_policy == "Never" and slot in self._ended:
            raise Breach(f"{spec.id} is started again, with restartPolicy Never")
        self._running[slot] = spec.id

    def ended(self, uid: str, spec: ContainerSpec) -> None:
        self._running.pop((uid, spec.name), None)
        self._ended.add((uid, spec.name))

    def node_lost(self, uids: set[str]) -> None:
        for slot in [slot for slot in self._running if slot[0] in uids]:
            del self._running[slot]


class Invariants:
    """All laws over one history. `pods` is every pod ever committed, by uid."""

    def __init__(self) -> None:
        self.pods: dict[str, Pod] = {}
        self.starts = StartsAreRight(self.pods)
        self._laws: tuple[Law, ...] = (
            RevisionsGrow(),
            NodesHoldTheirPods(),
            FinishedIsFinal(),
            ControllersCountRight(),
            TimesMakeSense(),
        )

    def see(self, batch: Batch) -> None:
        for record in batch.records:
            if record.stored.key.resource == "pods":
                self.pods[record.stored.uid] = lens(record.stored, Pod)
            for law in self._laws:
                law.see(record)

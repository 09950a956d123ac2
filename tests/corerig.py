"""A store in memory and any cores against it, by hand: what the tests of scheduler and controllers stand on.

The store is the real one (admission included); only time and the moment at which news arrive are ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from actors.api.codec import Object, decode
from actors.api.errors import NotFound
from actors.api.key import Key
from actors.api.kinds import kind_for
from actors.reconcile.actions import Create, Delete, Patch, Reply, StoreWrite
from actors.reconcile.core import Core
from actors.reconcile.watch import Selection
from actors.store.admission.profile import AdmissionConfig
from actors.store.backend.memory import MemoryBackend
from actors.store.config import StoreConfig
from actors.store.engine import Engine
from actors.store.ids import SeededIds

START_MS = 1_790_000_000_000
#: Only the cores of a test are there: nobody else would take a new node's first taint off.
_CONFIG = StoreConfig(admission=AdmissionConfig(disable=("TaintNodesByCondition",)))


class Rig:
    def __init__(self, *cores: Core) -> None:
        self.engine = Engine(MemoryBackend(), SeededIds(1), _CONFIG)
        self.now = START_MS
        self.since: dict[int, int] = {}
        self.writes: list[StoreWrite] = []
        self.cores = list(cores)
        for namespace in ("default", "kube-system", "kube-node-lease"):
            self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})

    # -- as a user

    def commit(self, *writes: StoreWrite) -> list[Reply]:
        return self.engine.commit(writes, self.now)

    def must(self, write: StoreWrite) -> Reply:
        reply = self.commit(write)[0]
        assert reply.error is None, reply.error
        return reply

    def create(self, obj: Object, namespace: str = "default") -> Object:
        kind = kind_for(obj["apiVersion"], obj["kind"])
        assert kind is not None
        reply = self.must(Create(resource=kind.resource, namespace=namespace if kind.namespaced else "", object=obj))
        assert reply.stored is not None
        return decode(reply.stored)

    def patch(self, key: Key, patch: Any, subresource: str = "") -> None:
        self.must(Patch(key=key, patch=patch, subresource=subresource))

    def delete(self, key: Key, **options: Any) -> None:
        self.must(Delete(key=key, **options))

    def get(self, resource: str, name: str, namespace: str = "default") -> Object | None:
        try:
            return decode(self.engine.get(Key(resource, namespace, name)))
        except NotFound:
            return None

    def list(self, resource: str) -> list[Object]:
        return [decode(stored) for stored in self.engine.list(Selection(resources=(resource,))).items]

    # -- as the shell

    def relist(self, core: Core) -> None:
        page = self.engine.list(core.selection())
        core.relist(page.items, page.revision, self.now)
        self.since[id(core)] = page.revision

    def deliver(self, core: Core) -> None:
        """All news so far."""
        if id(core) not in self.since:
            self.relist(core)
        while self.since[id(core)] < self.engine.revision:
            batch = self.engine.changes(core.selection(), self.since[id(core)])
            core.observe(batch, self.now)
            self.since[id(core)] = batch.revision

    def step(self, core: Core) -> Sequence[StoreWrite]:
        """One decision, carried out; no news are delivered."""
        writes = core.decide(self.now)
        if writes:
            self.writes += writes
            core.replied(writes, self.engine.commit(writes, self.now), self.now)
        return writes

    def settle(self, rounds: int = 200) -> None:
        """Until no core has anything to do now."""
        for _ in range(rounds):
            wrote = False
            for core in self.cores:
                self.deliver(core)
                wrote = bool(self.step(core)) or wrote
            if not wrote and not any(self._due(core) for core in self.cores):
                return
        raise AssertionError(f"not content after {rounds} rounds; last writes: {self.writes[-5:]}")

    def advance(self, delay_ms: int) -> None:
        """Time passes; cores wake when they asked for it."""
        end = self.now + delay_ms
        self.settle()
        while (at := min((t for core in self.cores if (t := core.wake_at()) is not None), default=end)) < end:
            self.now = max(at, self.now)
            self.settle()
        self.now = end
        self.settle()

    def _due(self, core: Core) -> bool:
        at = core.wake_at()
        return at is not None and at <= self.now


def node(name: str, *, cpu: Any = "4", memory: str = "8Gi", pods: int = 110, **extra: Any) -> Object:
    """`labels`, `annotations`, `taints`, `unschedulable` and further allocatable resources (`gpu=2`)."""
    gpus = extra.get("gpu")
    allocatable = {"cpu": str(cpu), "memory": memory, "pods": str(pods), "ephemeral-storage": "100Gi"}
    annotations = dict(extra.get("annotations") or {})
    if gpus is not None:
        allocatable["nvidia.com/gpu"] = str(gpus)
    spec = {key: extra[key] for key in ("taints", "unschedulable") if key in extra}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": extra.get("labels") or {}, "annotations": annotations},
        "spec": spec,
        "status": {"capacity": allocatable, "allocatable": allocatable, "conditions": [_ready(True)]},
    }


def pod(name: str, *, cpu: Any = None, memory: Any = None, gpu: Any = None, **spec: Any) -> Object:
    """One container `main`; `spec` overrides fields of the pod's spec."""
    asked = {"cpu": cpu, "memory": memory, "nvidia.com/gpu": gpu}
    requests = {key: str(value) for key, value in asked.items() if value is not None}
    limits = {key: value for key, value in requests.items() if key == "nvidia.com/gpu"}
    container = {"name": "main", "image": "host", "resources": {"requests": requests, "limits": limits}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [container], **spec},
    }


def _ready(status: bool) -> Object:
    return {"type": "Ready", "status": str(status), "reason": "KubeletReady", "message": ""}


def finish(rig: Rig, name: str, phase: str = "Succeeded") -> None:
    rig.patch(Key("pods", "default", name), {"status": {"phase": phase}}, "status")


def start(rig: Rig, name: str) -> None:
    """Running and ready."""
    rig.patch(Key("pods", "default", name), {"status": {"phase": "Running", "conditions": [_ready(True)]}}, "status")

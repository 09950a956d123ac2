"""Laws that hold only where nothing goes wrong: faults may break these, and nothing else may."""

from __future__ import annotations

from actors.api.clock import Millis
from actors.api.meta import controller_of
from actors.api.namespaces import Namespace
from actors.api.node import TAINT_UNSCHEDULABLE, Node, Taint
from actors.api.pod import Pod
from actors.api.toleration import is_tolerated
from actors.api.workloads import Deployment, ReplicaSet
from actors.controllers.pods import is_ready
from actors.controllers.rollout import read_bounds
from actors.sim.laws.law import Breach, Sight
from actors.sim.laws.machines import MachineLaws

#: So long after a cordon everybody knows of it, where nothing goes wrong.
_NOTICED_MS: Millis = 1_000
_CORDON = Taint(key=TAINT_UNSCHEDULABLE, effect="NoSchedule")


class GoneMeansStopped:
    """A pod's object goes only when nothing of the pod runs; with a grace of 0 it goes at once, as was asked."""

    def __init__(self, machines: MachineLaws) -> None:
        self._machines = machines

    def see(self, sight: Sight) -> None:
        pod = sight.obj
        if sight.removed and isinstance(pod, Pod) and pod.spec.termination_grace_period_seconds:
            running = self._machines.running_of(pod.metadata.uid)
            if running:
                raise Breach(f"pod {pod.metadata.name} is gone and its containers {running} run")


class RollingKeepsAvailable:
    """A rolling update takes down no pod that leaves fewer available than maxUnavailable allows.

    What has just become available may not be known to who decided: only what has been so for a while is owed. And to
    make a Deployment smaller is no update: its ReplicaSets shrink in proportion, whichever of them is available. Nor is
    the end of its namespace, which takes pods first.
    """

    def __init__(self) -> None:
        self._deployments: dict[str, Deployment] = {}
        self._ending: set[str] = set()
        self._shrunk_ms: dict[str, Millis] = {}
        self._deployment_of: dict[str, str] = {}
        self._ready: dict[str, dict[str, Millis]] = {}

    def see(self, sight: Sight) -> None:
        obj, uid = sight.obj, sight.obj.metadata.uid
        owner = controller_of(obj.metadata)
        if isinstance(obj, Namespace):
            ends = obj.metadata.is_deleting and not sight.removed
            (self._ending.add if ends else self._ending.discard)(obj.metadata.name)
        elif isinstance(obj, Deployment):
            before = self._deployments.get(uid)
            if before is not None and obj.spec.replicas < before.spec.replicas:
                self._shrunk_ms[uid] = sight.record.at
            self._deployments[uid] = obj
        elif isinstance(obj, ReplicaSet) and owner is not None:
            self._deployment_of[uid] = owner.uid
        elif isinstance(obj, Pod) and owner is not None and owner.uid in self._deployment_of:
            self._see_pod(obj, self._deployment_of[owner.uid], sight.record.at)

    def _see_pod(self, pod: Pod, deployment_uid: str, now: Millis) -> None:
        ready = self._ready.setdefault(deployment_uid, {})
        settled = sum(now - since > _NOTICED_MS for since in ready.values())
        if is_ready(pod) and not pod.metadata.is_deleting:
            ready.setdefault(pod.metadata.uid, now)
        elif ready.pop(pod.metadata.uid, None) is not None and not self._shrinks(deployment_uid, now):
            self._check(self._deployments[deployment_uid], len(ready), settled)

    def _shrinks(self, deployment_uid: str, now: Millis) -> bool:
        return now - self._shrunk_ms.get(deployment_uid, now - _NOTICED_MS) < _NOTICED_MS

    def _check(self, deployment: Deployment, available: int, settled: int) -> None:
        metadata = deployment.metadata
        if metadata.is_deleting or metadata.namespace in self._ending:
            return
        if deployment.spec.strategy.type != "RollingUpdate":
            return
        floor = deployment.spec.replicas - read_bounds(deployment).unavailable
        if available < min(settled, floor):
            raise Breach(f"deployment {deployment.metadata.name} has {available} pods available, {floor} must be")


class CordonsHold:
    """No pod is bound to a node that has been cordoned for a while, but those that put up with it (of DaemonSets)."""

    def __init__(self) -> None:
        self._cordoned_ms: dict[str, Millis] = {}
        self._bound: set[str] = set()

    def see(self, sight: Sight) -> None:
        obj, now = sight.obj, sight.record.at
        if isinstance(obj, Node):
            if obj.spec.unschedulable:
                self._cordoned_ms.setdefault(obj.metadata.name, now)
            else:
                self._cordoned_ms.pop(obj.metadata.name, None)
        elif isinstance(obj, Pod) and obj.spec.node_name and obj.metadata.uid not in self._bound:
            self._bound.add(obj.metadata.uid)
            bears = is_tolerated(_CORDON, obj.spec.tolerations)
            if not bears and now - self._cordoned_ms.get(obj.spec.node_name, now) > _NOTICED_MS:
                raise Breach(f"pod {obj.metadata.name} is bound to {obj.spec.node_name}, which is cordoned")

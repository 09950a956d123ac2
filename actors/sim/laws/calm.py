"""Laws that hold only where nothing goes wrong: faults may break these, and nothing else may."""

from __future__ import annotations

from collections.abc import Iterable

from actors.api.meta import controller_of
from actors.api.pod import Pod
from actors.api.workloads import Deployment, ReplicaSet
from actors.controllers.pods import is_ready
from actors.controllers.rollout import read_bounds
from actors.sim.laws.law import Breach, Sight
from actors.sim.laws.machines import MachineLaws


class GoneMeansStopped:
    """A pod's object goes only when nothing of the pod runs."""

    def __init__(self, machines: MachineLaws) -> None:
        self._machines = machines

    def see(self, sight: Sight) -> None:
        if sight.removed and isinstance(sight.obj, Pod):
            running = self._machines.running_of(sight.obj.metadata.uid)
            if running:
                raise Breach(f"pod {sight.obj.metadata.name} is gone and its containers {running} run")


class RollingKeepsAvailable:
    """A rolling update takes no more pods down than maxUnavailable, and makes no more than maxSurge."""

    def __init__(self) -> None:
        self._deployments: dict[str, Deployment] = {}
        self._sets: dict[str, ReplicaSet] = {}
        self._pods: dict[str, Pod] = {}
        self._reached: dict[str, int] = {}

    def see(self, sight: Sight) -> None:
        obj, uid = sight.obj, sight.obj.metadata.uid
        table: dict[str, Deployment] | dict[str, ReplicaSet] | dict[str, Pod]
        if isinstance(obj, Deployment):
            table, self._deployments[uid] = self._deployments, obj
        elif isinstance(obj, ReplicaSet):
            table, self._sets[uid] = self._sets, obj
        elif isinstance(obj, Pod):
            table, self._pods[uid] = self._pods, obj
        else:
            return
        for deployment in list(self._deployments.values()):
            if not deployment.metadata.is_deleting and deployment.spec.strategy.type == "RollingUpdate":
                self._check(deployment)
        if sight.removed:
            del table[uid]

    def _check(self, deployment: Deployment) -> None:
        """Whatever was available once must stay so, up to what is asked for less maxUnavailable."""
        available = sum(is_ready(pod) and not pod.metadata.is_deleting for pod in self._pods_of(deployment))
        uid, bounds = deployment.metadata.uid, read_bounds(deployment)
        floor = max(deployment.spec.replicas - bounds.unavailable, 0)
        if available < min(self._reached.get(uid, 0), floor):
            raise Breach(f"deployment {deployment.metadata.name} has {available} pods available, {floor} must be")
        self._reached[uid] = min(max(self._reached.get(uid, 0), available), floor)

    def _pods_of(self, deployment: Deployment) -> Iterable[Pod]:
        sets = {
            uid
            for uid, rs in self._sets.items()
            if (owner := controller_of(rs.metadata)) and owner.uid == deployment.metadata.uid
        }
        return (pod for pod in self._pods.values() if (owner := controller_of(pod.metadata)) and owner.uid in sets)

"""PodDisruptionBudget: how many of its pods may be evicted now (pkg/controller/disruption).

Evictions are granted by the gateway, which counts `disruptionsAllowed` down and notes the pod in `disruptedPods`; here
the count is made anew from what is seen. A noted pod counts as gone until that shows, or for two minutes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from actors.api.clock import Millis, parse_time
from actors.api.disruption import ALLOWED, INSUFFICIENT, RESOURCE, SUFFICIENT, SYNC_FAILED, PodDisruptionBudget
from actors.api.key import Key
from actors.api.meta import Resource, controller_of, key_in
from actors.api.pod import Pod
from actors.api.workloads import Deployment, ReplicaSet, ReplicationController, StatefulSet
from actors.controllers.pods import is_ready
from actors.reconcile.actions import Action, Emit, Patch, RequeueAfter
from actors.reconcile.conditions import condition, differs, with_conditions
from actors.reconcile.controller import controller
from actors.reconcile.view import View

_FORGOTTEN_MS: Millis = 120_000


class _Unknown(Exception):
    """How many pods there shall be cannot be told, and why."""


def budgets_of(key: Key, pod: Pod, view: View) -> Iterable[Key]:
    return [
        key_in(RESOURCE, budget.metadata)
        for budget in view.within(PodDisruptionBudget, key.namespace)
        if budget.covers(pod)
    ]


@controller(PodDisruptionBudget, watches={Pod: budgets_of})
def reconcile(budget: PodDisruptionBudget, view: View, now: Millis) -> Iterable[Action]:
    if budget.metadata.is_deleting:
        return
    pods = [pod for pod in view.within(Pod, budget.metadata.namespace) if budget.covers(pod)]
    try:
        expected, desired = _wanted(budget, pods, view)
    except _Unknown as error:
        yield from _fail(budget, str(error), now)
        return
    granted = _granted(budget, pods, now)
    healthy = sum(not pod.metadata.is_deleting and pod.metadata.name not in granted and is_ready(pod) for pod in pods)
    allowed = max(healthy - desired, 0) if expected > 0 else 0
    counts: dict[str, Any] = {
        "observedGeneration": budget.metadata.generation,
        "disruptionsAllowed": allowed,
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "expectedPods": expected,
    }
    row = condition(ALLOWED, allowed > 0, SUFFICIENT if allowed else INSUFFICIENT, "", now)
    dropped = dict.fromkeys((budget.status.disrupted_pods or {}).keys() - granted.keys())
    if counts != _known(budget) or dropped or differs(budget.status.conditions, [row]):
        yield _told(budget, {**counts, "disruptedPods": dropped or None} if dropped else counts, row)
    yield from (RequeueAfter(until - now) for until in granted.values())


def _wanted(budget: PodDisruptionBudget, pods: Sequence[Pod], view: View) -> tuple[int, int]:
    """How many pods there shall be, and how many of them healthy."""
    least, most = budget.spec.min_available, budget.spec.max_unavailable
    if most is not None:
        expected = _scale(pods, view)
        return expected, max(expected - _share(most, expected), 0)
    if isinstance(least, str):
        expected = _scale(pods, view)
        return expected, _share(least, expected)
    return len(pods), least if least is not None else 0


def _share(value: int | str, whole: int) -> int:
    """A percentage is rounded up."""
    return value if isinstance(value, int) else -(-int(value.removesuffix("%")) * whole // 100)


def _scale(pods: Sequence[Pod], view: View) -> int:
    """What the controllers of `pods` want, each once; pods without one do not count."""
    scales: dict[str, int] = {}
    for pod in pods:
        ref = controller_of(pod.metadata)
        if ref is None:
            continue
        keeper = _keeper(ref.uid, view)
        if keeper is None:
            raise _Unknown(f'found no controllers for pod "{pod.metadata.name}"')
        scales[keeper.metadata.uid] = keeper.spec.replicas
    return sum(scales.values())


def _keeper(uid: str, view: View) -> Deployment | ReplicaSet | ReplicationController | StatefulSet | None:
    """The controller itself, or the Deployment that it is a part of."""
    obj = _at(uid, view)
    above = controller_of(obj.metadata) if isinstance(obj, ReplicaSet) else None
    deployment = _at(above.uid, view) if above is not None else None
    if isinstance(deployment, Deployment):
        return deployment
    return obj if isinstance(obj, ReplicaSet | ReplicationController | StatefulSet) else None


def _at(uid: str, view: View) -> Resource | None:
    key = view.with_uid(uid)
    return view.at(key) if key is not None else None


def _granted(budget: PodDisruptionBudget, pods: Sequence[Pod], now: Millis) -> dict[str, Millis]:
    """Pods whose eviction was granted and does not show yet, and until when that is believed."""
    there = {pod.metadata.name for pod in pods if not pod.metadata.is_deleting}
    noted = {name: parse_time(at) + _FORGOTTEN_MS for name, at in (budget.status.disrupted_pods or {}).items()}
    return {name: until for name, until in noted.items() if name in there and until > now}


def _fail(budget: PodDisruptionBudget, why: str, now: Millis) -> Iterable[Action]:
    """Nobody is evicted while it is not known what is there."""
    row = condition(ALLOWED, False, SYNC_FAILED, why, now)
    if budget.status.disruptions_allowed or differs(budget.status.conditions, [row]):
        yield _told(budget, {"disruptionsAllowed": 0}, row)
        key, uid = key_in(RESOURCE, budget.metadata), budget.metadata.uid
        reason = "CalculateExpectedPodCountFailed"
        message = f"Failed to calculate the number of expected pods: {why}"
        yield Emit(regarding=key, uid=uid, reason=reason, message=message, type="Warning")


def _told(budget: PodDisruptionBudget, status: dict[str, Any], row: dict[str, Any]) -> Patch:
    meta = budget.metadata
    row = row | {"observedGeneration": meta.generation}
    patch = {"status": {**status, "conditions": with_conditions(budget.status.conditions, [row])}}
    key = key_in(RESOURCE, meta)
    return Patch(key=key, patch=patch, subresource="status", uid=meta.uid, revision=meta.revision)


def _known(budget: PodDisruptionBudget) -> dict[str, int]:
    status = budget.status
    return {
        "observedGeneration": status.observed_generation,
        "disruptionsAllowed": status.disruptions_allowed,
        "currentHealthy": status.current_healthy,
        "desiredHealthy": status.desired_healthy,
        "expectedPods": status.expected_pods,
    }

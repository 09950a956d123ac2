"""ReplicaSet and ReplicationController: keep `spec.replicas` pods that match the selector. Both adopt matching orphans
and let go of strays; they differ in nothing but the kind.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, TypeVar

from actors.api.clock import Millis
from actors.api.key import Key
from actors.api.meta import controller_of, key_in
from actors.api.pod import Pod
from actors.api.selector import LabelMatcher, from_selector
from actors.api.workloads import ReplicaSet, ReplicationController
from actors.controllers.pods import adopt, available_at, free_names, is_active, is_ready, new_pod, pod_key, release
from actors.reconcile.actions import Action, Create, Delete, Emit, Patch, RequeueAfter
from actors.reconcile.conditions import condition, find_condition, with_conditions
from actors.reconcile.controller import Concerns, Controller, controller, owner
from actors.reconcile.view import RESOURCES, View

#: The condition of a set whose pods are refused, by a quota for example.
FAILURE = "ReplicaFailure"
_BURST = 500
_DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


Keeper = ReplicaSet | ReplicationController
T = TypeVar("T", ReplicaSet, ReplicationController)


def replicas_of(shape: type[T]) -> Controller[T]:
    """The controller of one of the two kinds."""

    @controller(shape, watches={Pod: interested_of(shape)}, name=shape.__name__.lower())
    def reconcile(keeper: T, view: View, now: Millis) -> Iterable[Action]:
        return keep(keeper, view, now)

    return reconcile


def interested_of(shape: type[T]) -> Concerns:
    def interested(key: Key, pod: Pod, view: View) -> Iterable[Key]:
        """Its controller; for an orphan, whoever's selector matches it."""
        if controller_of(pod.metadata):
            return owner(key, pod, view)
        return [_key(one) for one in view.within(shape, key.namespace) if _matcher(one).matches(pod.metadata.labels)]

    return interested


def keep(rs: Keeper, view: View, now: Millis) -> Iterable[Action]:
    matcher = _matcher(rs)
    owned = view.owned_by(rs, Pod)
    pods = [pod for pod in owned if is_active(pod) and matcher.matches(pod.metadata.labels)]
    if not rs.metadata.is_deleting:
        strays = [pod for pod in owned if is_active(pod) and not matcher.matches(pod.metadata.labels)]
        yield from (release(pod_key(pod), pod, rs) for pod in strays)
        orphans = [pod for pod in view.orphans(Pod, rs.metadata.namespace) if is_active(pod)]
        adopted = [] if matcher.is_empty else [pod for pod in orphans if matcher.matches(pod.metadata.labels)]
        yield from (adopt(pod_key(pod), pod, rs) for pod in adopted)
        yield from _scale(rs, [*pods, *adopted], view)
    lacks = not rs.metadata.is_deleting and len(pods) < rs.spec.replicas
    yield from _report(rs, pods, view.refused if lacks else "", now)


def _key(rs: Keeper) -> Key:
    return key_in(RESOURCES[type(rs)], rs.metadata)


def _matcher(rs: Keeper) -> LabelMatcher:
    return from_selector(rs.spec.label_selector)


def _scale(rs: Keeper, pods: Sequence[Pod], view: View) -> Iterable[Action]:
    missing = min(rs.spec.replicas - len(pods), _BURST)
    for name in islice(free_names(rs, view), max(missing, 0)):
        yield Create(resource="pods", namespace=rs.metadata.namespace, object=new_pod(rs.spec.template, rs, name))
        yield _told(rs, "SuccessfulCreate", f"Created pod: {name}")
    for pod in select_victims(pods, -missing):
        yield Delete(key=pod_key(pod), uid=pod.metadata.uid)
        yield _told(rs, "SuccessfulDelete", f"Deleted pod: {pod.metadata.name}")


def _told(rs: Keeper, reason: str, message: str) -> Emit:
    return Emit(regarding=_key(rs), uid=rs.metadata.uid, reason=reason, message=message)


def select_victims(pods: Sequence[Pod], count: int) -> list[Pod]:
    """Whom to stop first, as Kubernetes ranks them: not yet bound, not ready, cheap, crowded together, young."""
    crowd = Counter(pod.spec.node_name for pod in pods)

    def rank(pod: Pod) -> tuple[Any, ...]:
        phase = _PHASES.get(pod.status.phase, 1)
        young = (-pod.metadata.created_ms, pod.metadata.name)
        return bool(pod.spec.node_name), phase, is_ready(pod), _cost(pod), -crowd[pod.spec.node_name], *young

    return sorted(pods, key=rank)[: max(count, 0)]


def _cost(pod: Pod) -> int:
    try:
        return int(pod.metadata.annotation(_DELETION_COST) or 0)
    except ValueError:
        return 0


def _report(rs: Keeper, pods: Sequence[Pod], refused: str, now: Millis) -> Iterable[Action]:
    times = [at for pod in pods if (at := available_at(pod, rs.spec.min_ready_seconds)) is not None]
    template_labels = (rs.spec.template.metadata.get("labels") or {}).items()
    status: dict[str, Any] = {
        "replicas": len(pods),
        "fullyLabeledReplicas": sum(template_labels <= (pod.metadata.labels or {}).items() for pod in pods),
        "readyReplicas": sum(is_ready(pod) for pod in pods),
        "availableReplicas": sum(at <= now for at in times),
        "observedGeneration": rs.metadata.generation,
    }
    conditions = _conditions(rs, refused, now)
    if status != _known(rs) or conditions is not None:
        status |= {} if conditions is None else {"conditions": conditions or None}
        yield Patch(key=_key(rs), patch={"status": status}, subresource="status", uid=rs.metadata.uid)
    yield from (RequeueAfter(at - now) for at in sorted(times) if at > now)


def _conditions(rs: Keeper, refused: str, now: Millis) -> list[dict[str, Any]] | None:
    """With ReplicaFailure while pods are refused, without it when they no longer are; None: as they are."""
    known = find_condition(rs.status.conditions, FAILURE)
    if refused and known is None:
        return with_conditions(rs.status.conditions, [condition(FAILURE, True, "FailedCreate", refused, now)])
    if not refused and known is not None:
        return with_conditions([row for row in rs.status.conditions or () if row.type != FAILURE], ())
    return None


def _known(rs: Keeper) -> dict[str, int]:
    status = rs.status
    return {
        "replicas": status.replicas,
        "fullyLabeledReplicas": status.fully_labeled_replicas,
        "readyReplicas": status.ready_replicas,
        "availableReplicas": status.available_replicas,
        "observedGeneration": status.observed_generation,
    }


reconcile = replicas_of(ReplicaSet)
replication_controller = replicas_of(ReplicationController)

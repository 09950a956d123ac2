"""DaemonSet: one pod on each node that it is for, replaced node by node when its template changes
(pkg/controller/daemon).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from actors.api.clock import Millis
from actors.api.key import Key
from actors.api.kinds import POD
from actors.api.meta import controller_of, key_in
from actors.api.node import Node
from actors.api.pod import Pod
from actors.api.selector import LabelMatcher, from_selector
from actors.api.workloads import ControllerRevision, DaemonSet
from actors.controllers.daemon_pods import make_pod, node_of, shall_run
from actors.controllers.pods import adopt, available_at, is_active, is_ready, pod_key, release
from actors.controllers.template_history import REVISION_LABEL, mark_of, read_history, take_in, trim, write_version
from actors.reconcile.actions import Action, Create, Delete, Emit, Patch, RequeueAfter
from actors.reconcile.controller import controller, owner
from actors.reconcile.view import RESOURCES, View

#: A pod that has failed is replaced after so long, lest one that always fails keeps everybody busy.
_FAILED_MS: Millis = 1000


class _Place(msgspec.Struct, frozen=True):
    """One node: whether a pod is to be there, whether one may stay, and what there is, oldest first."""

    node: str
    wanted: bool
    allowed: bool
    pods: tuple[Pod, ...]


def interested(key: Key, pod: Pod, view: View) -> Iterable[Key]:
    """Its controller; for an orphan, whoever's selector matches it."""
    if controller_of(pod.metadata):
        return owner(key, pod, view)
    return [_key(one) for one in view.within(DaemonSet, key.namespace) if _matcher(one).matches(pod.metadata.labels)]


def every(key: Key, node: Node, view: View) -> Iterable[Key]:
    return [_key(daemon) for daemon in view.all(DaemonSet)]


@controller(DaemonSet, watches={Pod: interested, Node: every, ControllerRevision: owner})
def reconcile(daemon: DaemonSet, view: View, now: Millis) -> Iterable[Action]:
    if daemon.metadata.is_deleting:
        return
    matcher = _matcher(daemon)
    if claims := [*_claim(daemon, matcher, view), *take_in(daemon, matcher, view)]:
        yield from claims
        return
    history = read_history(daemon, daemon.spec.template, view)
    if news := [*write_version(daemon, daemon.spec.template, history, daemon.status.collision_count, view)]:
        yield from news
        return
    mark = mark_of(history.newest) if history.newest is not None else ""
    pods = view.owned_by(daemon, Pod)
    places = _places(daemon, pods, view)
    changed: set[str] = set()
    yield from (_delete(pod) for pod in _stranded(pods, view))
    for place in places:
        for action in _keep(daemon, place, mark, view, now):
            changed.add(place.node)
            yield action
    if daemon.spec.update_strategy.type == "RollingUpdate":
        yield from _roll(daemon, [place for place in places if place.wanted], changed, mark, view, now)
    yield from _report(daemon, places, mark, now)
    live = {pod.metadata.label(REVISION_LABEL) for pod in pods}
    names = {version.metadata.name for version in history.versions if mark_of(version) in live}
    yield from trim(history, names, daemon.spec.revision_history_limit)


def _claim(daemon: DaemonSet, matcher: LabelMatcher, view: View) -> Iterable[Action]:
    for pod in view.owned_by(daemon, Pod):
        if not matcher.matches(pod.metadata.labels) and not pod.metadata.is_deleting:
            yield release(pod_key(pod), pod, daemon)
    for pod in () if matcher.is_empty else view.orphans(Pod, daemon.metadata.namespace):
        if matcher.matches(pod.metadata.labels) and not pod.metadata.is_deleting:
            yield adopt(pod_key(pod), pod, daemon)


def _places(daemon: DaemonSet, pods: Sequence[Pod], view: View) -> list[_Place]:
    there: dict[str, list[Pod]] = {}
    for pod in sorted(pods, key=lambda pod: (not pod.spec.node_name, pod.metadata.created_ms, pod.metadata.name)):
        there.setdefault(node_of(pod), []).append(pod)
    nodes = view.all(Node)
    return [_Place(n.metadata.name, *shall_run(daemon, n), tuple(there.get(n.metadata.name, ()))) for n in nodes]


def _stranded(pods: Sequence[Pod], view: View) -> Iterable[Pod]:
    """Those that wait for a node that is gone. (What had come to a node that is gone, pod_gc takes.)"""
    waiting = (pod for pod in pods if not pod.spec.node_name and not pod.metadata.is_deleting)
    return (pod for pod in waiting if node_of(pod) and view.get(Node, "", node_of(pod)) is None)


def _keep(daemon: DaemonSet, place: _Place, mark: str, view: View, now: Millis) -> Iterable[Action]:
    """One pod where one is wanted, none where none may be. During an update a node may have one of each version."""
    for pod in place.pods:
        if pod.is_finished and not pod.metadata.is_deleting:
            left_ms = view.seen_ms(pod_key(pod)) + _FAILED_MS - now
            yield RequeueAfter(left_ms) if left_ms > 0 else _delete(pod)
            if left_ms <= 0:
                name = f"{pod.metadata.namespace}/{pod.metadata.name}"
                words = f"Found failed daemon pod {name} on node {place.node}, will try to kill it"
                yield _told(daemon, "FailedDaemonPod", words, "Warning")
    living = [pod for pod in place.pods if is_active(pod)]
    if not place.allowed:
        yield from (_delete(pod) for pod in living)
        return
    if place.wanted and not place.pods:
        yield from _create(daemon, place.node, mark, view)
    for version in (True, False):
        same = [pod for pod in living if (pod.metadata.label(REVISION_LABEL) == mark) is version]
        yield from (_delete(pod) for pod in same[1:])


def _create(daemon: DaemonSet, node: str, mark: str, view: View) -> Iterable[Action]:
    pod = make_pod(daemon, node, mark, view)
    yield Create(resource=POD.resource, namespace=daemon.metadata.namespace, object=pod)
    yield _told(daemon, "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}")


def _roll(
    daemon: DaemonSet, places: Sequence[_Place], changed: set[str], mark: str, view: View, now: Millis
) -> Iterable[Action]:
    """Pods of an older version that are not available go at once, others as far as pods may be missing or be more."""
    missing, surge = _bounds(daemon, len(places))
    missing -= sum(not any(_is_available(daemon, pod, now) for pod in place.pods) for place in places)
    surge -= sum(len([pod for pod in place.pods if is_active(pod)]) > 1 for place in places)
    for place in places:
        living = [pod for pod in place.pods if is_active(pod)]
        old = [pod for pod in living if pod.metadata.label(REVISION_LABEL) != mark]
        new = [pod for pod in living if pod not in old]
        if not old or place.node in changed:
            continue
        if new and not _is_available(daemon, new[0], now):
            continue
        if new or not _is_available(daemon, old[0], now):
            yield _delete(old[0])
        elif surge > 0:
            surge -= 1
            yield from _create(daemon, place.node, mark, view)
        elif missing > 0:
            missing -= 1
            yield _delete(old[0])


def _bounds(daemon: DaemonSet, nodes: int) -> tuple[int, int]:
    """How many may be missing and how many may be more; percentages are rounded up."""
    rolling = daemon.spec.update_strategy.rolling_update
    if rolling is None:
        return 1, 0
    return _share(rolling.max_unavailable, nodes), _share(rolling.max_surge, nodes)


def _share(value: int | str, whole: int) -> int:
    return value if isinstance(value, int) else -(-int(value.removesuffix("%")) * whole // 100)


def _is_available(daemon: DaemonSet, pod: Pod, now: Millis) -> bool:
    at = available_at(pod, daemon.spec.min_ready_seconds)
    return is_active(pod) and at is not None and at <= now


def _report(daemon: DaemonSet, places: Sequence[_Place], mark: str, now: Millis) -> Iterable[Action]:
    wanted = [place for place in places if place.wanted]
    first = [place.pods[0] for place in wanted if place.pods]
    available = sum(any(_is_available(daemon, pod, now) for pod in place.pods) for place in wanted)
    status: dict[str, Any] = {
        "currentNumberScheduled": len(first),
        "desiredNumberScheduled": len(wanted),
        "numberMisscheduled": sum(bool(place.pods) and not place.wanted for place in places),
        "numberReady": sum(any(is_ready(pod) for pod in place.pods) for place in wanted),
        "numberAvailable": available,
        "numberUnavailable": len(wanted) - available,
        "updatedNumberScheduled": sum(
            any(pod.metadata.label(REVISION_LABEL) == mark for pod in place.pods) for place in wanted
        ),
        "observedGeneration": daemon.metadata.generation,
    }
    if status != _known(daemon):
        yield Patch(key=_key(daemon), patch={"status": status}, subresource="status", uid=daemon.metadata.uid)
    seconds = daemon.spec.min_ready_seconds
    times = [at for place in wanted for pod in place.pods if (at := available_at(pod, seconds)) is not None]
    yield from (RequeueAfter(at - now) for at in times if at > now)


def _known(daemon: DaemonSet) -> dict[str, int]:
    told: dict[str, int] = msgspec.to_builtins(msgspec.structs.replace(daemon.status, collision_count=0))
    names = ("currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady", "numberAvailable")
    every_name = (*names, "numberUnavailable", "updatedNumberScheduled", "observedGeneration")
    return {name: told.get(name, 0) for name in every_name}


def _matcher(daemon: DaemonSet) -> LabelMatcher:
    return from_selector(daemon.spec.selector)


def _key(daemon: DaemonSet) -> Key:
    return key_in(RESOURCES[DaemonSet], daemon.metadata)


def _delete(pod: Pod) -> Delete:
    return Delete(key=pod_key(pod), uid=pod.metadata.uid)


def _told(daemon: DaemonSet, reason: str, message: str, type_: str = "Normal") -> Emit:
    return Emit(regarding=_key(daemon), uid=daemon.metadata.uid, reason=reason, message=message, type=type_)

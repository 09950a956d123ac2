"""StatefulSet: pods with ordinals, made one after the other, taken down from the last, rolled from the last
(pkg/controller/statefulset). With `podManagementPolicy: Parallel` nobody waits for a neighbour, but in an update.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from actors.api.clock import Millis
from actors.api.key import Key
from actors.api.meta import controller_of, key_in
from actors.api.pod import Pod
from actors.api.selector import LabelMatcher, from_selector
from actors.api.volumes import PersistentVolumeClaim
from actors.api.workloads import ControllerRevision, StatefulSet
from actors.controllers.pods import adopt, available_at, is_ready, pod_key, release
from actors.controllers.rollout import share_of
from actors.controllers.stateful_claims import any_ends, make_claims, own_claims, set_of
from actors.controllers.stateful_pods import first_ordinal, make_pod, name_at, ordinal_of, version_of
from actors.controllers.template_history import History, read_history, take_in, template_of, trim, write_version
from actors.reconcile.actions import Action, Delete, Emit, Patch, RequeueAfter
from actors.reconcile.controller import controller, owner
from actors.reconcile.view import RESOURCES, View


def interested(key: Key, pod: Pod, view: View) -> Iterable[Key]:
    """Its controller; of an orphan, the set that it is named after."""
    if controller_of(pod.metadata):
        return owner(key, pod, view)
    at = Key(RESOURCES[StatefulSet], key.namespace, key.name.rpartition("-")[0])
    return (at,) if isinstance(view.at(at), StatefulSet) else ()


@controller(StatefulSet, watches={Pod: interested, ControllerRevision: owner, PersistentVolumeClaim: set_of})
def reconcile(stateful: StatefulSet, view: View, now: Millis) -> Iterable[Action]:
    if stateful.metadata.is_deleting:
        return
    matcher = from_selector(stateful.spec.selector)
    if claims := [*_claim(stateful, matcher, view), *take_in(stateful, matcher, view)]:
        yield from claims
        return
    history = read_history(stateful, stateful.spec.template, view)
    if news := [*write_version(stateful, stateful.spec.template, history, stateful.status.collision_count, view)]:
        yield from news
        return
    state = _State(stateful, view.owned_by(stateful, Pod), history, now)
    yield from state.provide(view)
    yield from state.next(view)
    yield from state.report()
    live = {version_of(pod) for pod in state.pods} | {state.current, state.update}
    yield from trim(history, live, stateful.spec.revision_history_limit)


def _claim(stateful: StatefulSet, matcher: LabelMatcher, view: View) -> Iterable[Action]:
    """Takes in orphans that the selector matches and that bear a name of its own; lets go of the others."""

    def fits(pod: Pod) -> bool:
        return matcher.matches(pod.metadata.labels) and ordinal_of(stateful, pod) >= 0

    for pod in view.owned_by(stateful, Pod):
        if not fits(pod) and not pod.metadata.is_deleting:
            yield release(pod_key(pod), pod, stateful)
    for pod in () if matcher.is_empty else view.orphans(Pod, stateful.metadata.namespace):
        if fits(pod) and not pod.metadata.is_deleting:
            yield adopt(pod_key(pod), pod, stateful)


class _State(msgspec.Struct):
    """One look at a set. `update` is the version of the present template, `current` the one before it."""

    stateful: StatefulSet
    pods: list[Pod]
    history: History
    now: Millis

    @property
    def update(self) -> str:
        return self.history.newest.metadata.name if self.history.newest else ""

    @property
    def current(self) -> str:
        known = self.history.named(self.stateful.status.current_revision)
        return known.metadata.name if known else self.update

    @property
    def ordinals(self) -> range:
        first = first_ordinal(self.stateful)
        return range(first, first + self.stateful.spec.replicas)

    @property
    def partition(self) -> int:
        rolling = self.stateful.spec.update_strategy.rolling_update
        return first_ordinal(self.stateful) + (rolling.partition if rolling else 0)

    @property
    def unavailable_max(self) -> int:
        """How many an update may take at a time; 0 where nothing is said: one, and in order."""
        rolling = self.stateful.spec.update_strategy.rolling_update
        if rolling is None or rolling.max_unavailable is None:
            return 0
        return max(share_of(rolling.max_unavailable, self.stateful.spec.replicas, round_up=False), 1)

    def next(self, view: View) -> Iterable[Action]:
        """What is to be done before anything else; in order, one pod at a time, unless pods need not wait."""
        waits = self.stateful.spec.pod_management_policy != "Parallel"
        there = {ordinal_of(self.stateful, pod): pod for pod in self.pods}
        for ordinal in self.ordinals:
            pod = there.get(ordinal)
            if pod is None:
                yield from self._make(ordinal, view)
            elif pod.is_finished and not pod.metadata.is_deleting:
                yield from self._delete(pod, "RecreatingFailedPod", "is recreating failed")
            elif self._is_healthy(pod):
                continue
            if waits:
                return
        beyond = [pod for ordinal, pod in sorted(there.items()) if ordinal not in self.ordinals]
        if not any(own_claims(self.stateful, pod, False, view) for pod in beyond):
            yield from self._shrink(waits, beyond)
        yield from self._roll(there)

    def provide(self, view: View) -> Iterable[Action]:
        """What pods that have not started claim, where it is gone; and every claim is owned as the policy says."""
        for pod in self.pods:
            if pod.status.phase == "Pending" and not pod.metadata.is_deleting:
                yield from self._claim(pod.metadata.name, view)
            yield from own_claims(self.stateful, pod, self._stays(pod), view)

    def _stays(self, pod: Pod) -> bool:
        return ordinal_of(self.stateful, pod) in self.ordinals

    def _claim(self, pod: str, view: View) -> Iterable[Action]:
        for made in make_claims(self.stateful, pod, view):
            yield made
            claim = made.object["metadata"]["name"]
            words = f"create Claim {claim} Pod {pod} in StatefulSet {self._name} success"
            yield self._told("SuccessfulCreate", words)

    def _make(self, ordinal: int, view: View) -> Iterable[Action]:
        pod = name_at(self.stateful, ordinal)
        claims = [*self._claim(pod, view)]
        if claims or any_ends(self.stateful, pod, view):  # the claims' changes concern the set
            yield from claims
            return
        old = ordinal < self.partition and self._rolls
        name = self.current if old else self.update
        version = self.history.named(name)
        template = template_of(version) if old and version is not None else self.stateful.spec.template
        yield make_pod(self.stateful, template, name, ordinal)
        yield self._told("SuccessfulCreate", f"create Pod {pod} in StatefulSet {self._name} successful")

    @property
    def _rolls(self) -> bool:
        return self.stateful.spec.update_strategy.type == "RollingUpdate"

    @property
    def _name(self) -> str:
        return self.stateful.metadata.name

    def _delete(self, pod: Pod, reason: str = "SuccessfulDelete", verb: str = "delete") -> Iterable[Action]:
        yield Delete(key=pod_key(pod), uid=pod.metadata.uid)
        if reason == "SuccessfulDelete":
            yield self._told(reason, f"delete Pod {pod.metadata.name} in StatefulSet {self._name} successful")
        else:
            where = f"{pod.metadata.namespace}/{self._name}"
            yield self._told(reason, f"StatefulSet {where} {verb} Pod {pod.metadata.name}", "Warning")

    def _shrink(self, waits: bool, beyond: Sequence[Pod]) -> Iterable[Action]:
        """The last goes first. While another is not healthy none goes but the lowest that is not."""
        sick = next((pod for pod in [*self._wanted(), *beyond] if not self._is_healthy(pod)), None)
        for pod in reversed(beyond):
            if not pod.metadata.is_deleting and (not waits or self._is_healthy(pod) or pod is sick):
                yield from self._delete(pod)
            if waits:
                return

    def _wanted(self) -> list[Pod]:
        mine = [pod for pod in self.pods if self._stays(pod)]
        return sorted(mine, key=lambda pod: ordinal_of(self.stateful, pod))

    def _roll(self, there: dict[int, Pod]) -> Iterable[Action]:
        """From the last down to the partition: the next of another version goes once all after it are healthy."""
        if not self._rolls or any(ordinal not in self.ordinals for ordinal in there):
            return
        if self.unavailable_max:
            yield from self._roll_many(there, self.unavailable_max)
            return
        for ordinal in reversed(self.ordinals):
            pod = there.get(ordinal)
            if ordinal < self.partition or pod is None:
                return
            if version_of(pod) != self.update and not pod.metadata.is_deleting:
                yield from self._delete(pod)
                return
            if not self._is_healthy(pod):
                return

    def _roll_many(self, there: dict[int, Pod], most: int) -> Iterable[Action]:
        """As many at a time as may be unavailable (KEP-961). One that is so already costs nothing to take down."""
        room = most - sum(ordinal not in there or not self._is_healthy(there[ordinal]) for ordinal in self.ordinals)
        for ordinal in reversed(self.ordinals):
            pod = there.get(ordinal)
            if ordinal < self.partition:
                return
            if pod is None or version_of(pod) == self.update or pod.metadata.is_deleting:
                continue
            if (cost := self._is_healthy(pod)) <= max(room, 0):
                room -= cost
                yield from self._delete(pod)

    def _is_healthy(self, pod: Pod) -> bool:
        at = available_at(pod, self.stateful.spec.min_ready_seconds)
        return pod.status.phase == "Running" and not pod.metadata.is_deleting and at is not None and at <= self.now

    def report(self) -> Iterable[Action]:
        seconds = self.stateful.spec.min_ready_seconds
        times = [at for pod in self.pods if (at := available_at(pod, seconds)) is not None]
        staying = [pod for pod in self.pods if not pod.metadata.is_deleting]
        updated = sum(version_of(pod) == self.update for pod in staying)
        status: dict[str, Any] = {
            "replicas": len(self.pods),
            "readyReplicas": len([pod for pod in self.pods if pod.status.phase == "Running" and is_ready(pod)]),
            "availableReplicas": sum(at <= self.now for at in times),
            "currentReplicas": sum(version_of(pod) == self.current for pod in staying),
            "updatedReplicas": updated,
            "currentRevision": self.current,
            "updateRevision": self.update,
            "observedGeneration": self.stateful.metadata.generation,
        }
        wanted = self.stateful.spec.replicas
        if self._rolls and updated == status["replicas"] == status["readyReplicas"] == wanted:
            status |= {"currentRevision": self.update, "currentReplicas": updated}
        if status != _known(self.stateful):
            key = key_in(RESOURCES[StatefulSet], self.stateful.metadata)
            yield Patch(key=key, patch={"status": status}, subresource="status", uid=self.stateful.metadata.uid)
        yield from (RequeueAfter(at - self.now) for at in times if at > self.now)

    def _told(self, reason: str, message: str, type_: str = "Normal") -> Emit:
        meta = self.stateful.metadata
        key = key_in(RESOURCES[StatefulSet], meta)
        return Emit(regarding=key, uid=meta.uid, reason=reason, message=message, type=type_)


def _known(stateful: StatefulSet) -> dict[str, Any]:
    status = stateful.status
    return {
        "replicas": status.replicas,
        "readyReplicas": status.ready_replicas,
        "availableReplicas": status.available_replicas,
        "currentReplicas": status.current_replicas,
        "updatedReplicas": status.updated_replicas,
        "currentRevision": status.current_revision,
        "updateRevision": status.update_revision,
        "observedGeneration": status.observed_generation,
    }

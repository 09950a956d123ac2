"""The scheduler in the form of `reconcile.core`: sees nodes and pods, decides binds and says why others wait. Pure.

Binds carry the pod's revision: one that has changed, gone or been bound meanwhile is refused by the store, and the
assumption is taken back. All state comes back with a relist.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import msgspec

from actors.api import kinds
from actors.api.clock import Millis
from actors.api.codec import lens
from actors.api.key import Key, Stored
from actors.api.pod import DEVICES_ANNOTATION
from actors.reconcile.actions import Emit, Patch, Reply, StoreWrite
from actors.reconcile.events import EventRecorder
from actors.reconcile.revisions import Revisions
from actors.reconcile.watch import EventType, Selection, WatchBatch
from actors.reconcile.workqueue import WorkQueue
from actors.scheduler.cache import Cache
from actors.scheduler.config import SchedulerConfig
from actors.scheduler.cycle import Failure, Outcome, Placement, schedule
from actors.scheduler.devices import format_assignment
from actors.scheduler.framework import Change
from actors.scheduler.nodes import Node
from actors.scheduler.queue import PendingQueue, group_of
from actors.scheduler.reports import Reports
from actors.scheduler.shape import Pending, Pod, Shapes

T = TypeVar("T")

_NODES, _PODS = kinds.NODE.resource, kinds.POD.resource
#: What became of a bind is not known yet: a webhook is still asked about it (actors/admission/patience.py).
_UNKNOWN = "Timeout"


class SchedulerCore:
    def __init__(self, config: SchedulerConfig | None = None) -> None:
        self._config = config or SchedulerConfig()
        self._shapes = Shapes()
        self._revisions = Revisions()
        self._cache = Cache(self._shapes)
        self._queue = PendingQueue(self._config.backoff)
        self._events = EventRecorder(self._config.scheduler_name)
        self._reports = Reports(self._events, self._config.reason_refresh_ms)
        self._binds: list[Placement] = []
        self._unsure: dict[Key, Placement] = {}
        self._asked_again: WorkQueue[Key] = WorkQueue(self._config.backoff)
        self._statuses: list[Patch] = []
        self._changes = Change(0)

    @property
    def cache(self) -> Cache:
        return self._cache

    @property
    def pending_count(self) -> int:
        return len(self._queue)

    def selection(self) -> Selection:
        return Selection(resources=(_NODES, _PODS))

    def relist(self, items: Sequence[Stored], revision: int, now: Millis) -> None:
        for placement in self._binds:
            if placement.pod.key not in self._unsure:
                self._cache.release(placement.pod.key)
                self._queue.unhold(placement.pod.key)
        for key in self._unsure:
            self._asked_again.add(key, now)
        for write in self._statuses:
            self._reports.retry(write, now)
        self._binds, self._statuses = [], []
        for key in self._revisions.vanished((stored.key for stored in items), revision):
            self._drop(key)
        for stored in items:
            self._take_in(stored)
        self._revisions.settle(revision)
        self._wake(now)

    def observe(self, batch: WatchBatch, now: Millis) -> None:
        for event in batch.events:
            self._notice(event.stored, event.type is EventType.DELETED)
        self._revisions.settle(batch.revision)
        self._wake(now)

    def decide(self, now: Millis) -> Sequence[StoreWrite]:
        most = self._config.batch_pods_max
        pending = self._queue.take(now, most)
        outcome = schedule(self._cache.nodes, pending, self._config.profile, self._config.seed)
        progressing = {group_of(placement.pod) for placement in outcome.placements}
        self._assume(outcome)
        for failure in outcome.failures:
            self._park(failure, now, progress=group_of(failure.pods[0]) in progressing)
        self._binds = [*outcome.placements, *self._ask_again(now)]
        self._statuses = self._reports.flush(now, most)
        return [*map(_bind, self._binds), *self._statuses, *self._events.flush(now)]

    def replied(self, writes: Sequence[StoreWrite], replies: Sequence[Reply], now: Millis) -> None:
        binds, statuses = len(self._binds), len(self._binds) + len(self._statuses)
        for placement, reply in zip(self._binds, replies[:binds], strict=True):
            self._bound(placement, reply, now)
        for write, reply in zip(self._statuses, replies[binds:statuses], strict=True):
            if reply.stored is not None:
                self._notice(reply.stored, reply.removed)
            elif reply.error is not None:
                self._reports.retry(write, now)
        self._binds, self._statuses = [], []
        self._events.replied(writes[statuses:], replies[statuses:], now)
        self._wake(now)

    def wake_at(self) -> Millis | None:
        times = (self._queue.next_at(), self._asked_again.next_at(), self._reports.next_at(), self._events.next_at())
        return min((at for at in times if at is not None), default=None)

    # -- what is seen

    def _notice(self, stored: Stored, gone: bool) -> None:
        if not gone:
            self._take_in(stored)
        elif self._revisions.accepts_removal(stored):
            self._drop(stored.key)

    def _take_in(self, stored: Stored) -> None:
        if not self._revisions.accepts(stored):
            return
        if stored.key.resource == _NODES:
            node = _read(stored, Node)
            self._changes |= self._cache.put_node(node) if node else Change(0)
        else:
            pod = _read(stored, Pod)
            self._put_pod(stored, pod) if pod else self._drop(stored.key)

    def _drop(self, key: Key) -> None:
        if key.resource == _NODES:
            self._cache.remove_node(key.name)
        else:
            self._changes |= self._cache.release(key)
            self._forget(key)

    def _put_pod(self, stored: Stored, pod: Pod) -> None:
        key = stored.key
        waiting = not pod.spec.node_name and not pod.is_finished and not pod.metadata.is_deleting
        if waiting and pod.spec.scheduler_name == self._config.scheduler_name:
            shape = self._shapes.of(pod.spec)
            pending = Pending(key, stored.uid, stored.revision, stored.created_revision, shape)
            self._reports.learn(key, pod)
            parked = self._queue.put(pending)
            if parked is not None:
                self._reports.tell(key, pending.uid, parked.reason, parked.message)
            if not self._cache.is_assumed(key):
                self._changes |= self._cache.release(key)  # bound once, it was another of the same name
                self._queue.unhold(key)
            return
        self._changes |= self._cache.put_pod(key, pod)
        self._forget(key)

    def _ask_again(self, now: Millis) -> Iterator[Placement]:
        """The very binds of which it is not known what became: their pods keep their places until it is."""
        while (key := self._asked_again.pop(now)) is not None:
            if (placement := self._unsure.get(key)) is not None:
                yield placement

    def _forget(self, key: Key) -> None:
        self._unsure.pop(key, None)
        self._asked_again.forget(key)
        self._queue.remove(key)
        self._reports.forget(key)

    def _wake(self, now: Millis) -> None:
        if self._changes:
            self._queue.wake(self._changes, now)
            self._changes = Change(0)

    # -- what is decided

    def _assume(self, outcome: Outcome) -> None:
        self._cache.assume(outcome.placements, outcome.nodes)
        for placement in outcome.placements:
            self._queue.placed(placement.pod.key)
            self._reports.forget(placement.pod.key)

    def _bound(self, placement: Placement, reply: Reply, now: Millis) -> None:
        pod = placement.pod
        if reply.error is not None and reply.error.get("reason") == _UNKNOWN and self._cache.is_assumed(pod.key):
            self._unsure[pod.key] = placement
            self._asked_again.fail(pod.key, now)
            return
        self._unsure.pop(pod.key, None)
        self._asked_again.forget(pod.key)
        if reply.stored is not None:
            self._notice(reply.stored, reply.removed)
            self._tell_scheduled(placement, now)
        elif self._cache.is_assumed(pod.key):
            self._changes |= self._cache.release(pod.key)
            if (parked := self._queue.hold(pod.key, now)) is not None:
                self._reports.tell(pod.key, pod.uid, parked.reason, parked.message)

    def _tell_scheduled(self, placement: Placement, now: Millis) -> None:
        if self._config.scheduled_events:
            key = placement.pod.key
            message = f"Successfully assigned {key.namespace}/{key.name} to {placement.node}"
            self._events.record(Emit(regarding=key, uid=placement.pod.uid, reason="Scheduled", message=message), now)

    def _park(self, failure: Failure, now: Millis, *, progress: bool) -> None:
        waiting = self._queue.park(group_of(failure.pods[0]), failure, now, progress=progress)
        for pod in waiting:
            self._reports.tell(pod.key, pod.uid, failure.reason, failure.message)


def _bind(placement: Placement) -> Patch:
    """The binding, with the devices that the nodelet shall allocate."""
    patch: dict[str, object] = {"spec": {"nodeName": placement.node}}
    if placement.assignment:
        patch["metadata"] = {"annotations": {DEVICES_ANNOTATION: format_assignment(placement.assignment)}}
    pod = placement.pod
    return Patch(key=pod.key, patch=patch, subresource="binding", revision=pod.revision, uid=pod.uid)


def _read(stored: Stored, shape: type[T]) -> T | None:
    """None for an object that does not have the shape of its kind: it takes no part."""
    try:
        return lens(stored, shape)
    except msgspec.ValidationError:
        return None

"""Pods that wait for a node, in groups of equal ones: a group is tried, parked until something helps, tried again.

What one pod of a group is told holds for all, so a thousand equal pods that do not fit cost one evaluation. A pod
whose bind was refused is held by itself, for its back-off or until its state changes.
"""

from __future__ import annotations

import heapq
from itertools import islice

import msgspec

from actors.api.clock import Millis
from actors.api.key import Key
from actors.reconcile.backoff import Backoff
from actors.reconcile.workqueue import WorkQueue
from actors.scheduler.cycle import Failure
from actors.scheduler.framework import Change
from actors.scheduler.shape import Pending

GroupId = tuple[int, bytes]


class _Group(msgspec.Struct):
    pods: dict[Key, Pending] = msgspec.field(default_factory=dict)
    parked: Failure | None = None
    failures: int = 0
    tried_ms: Millis = 0


def group_of(pod: Pending) -> GroupId:
    return (-pod.shape.priority, pod.shape.fingerprint)


class PendingQueue:
    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._pods: dict[Key, Pending] = {}
        self._groups: dict[GroupId, _Group] = {}
        self._wakes: WorkQueue[GroupId] = WorkQueue()
        self._held: WorkQueue[Key] = WorkQueue(backoff)
        self._placed: set[Key] = set()  # waiting for the reply to their binds
        self._refused: set[Key] = set()  # held

    def __len__(self) -> int:
        return len(self._pods)

    def get(self, key: Key) -> Pending | None:
        return self._pods.get(key)

    def put(self, pod: Pending) -> Failure | None:
        """Adds a pod or takes over its new state. Why its group is parked, if it is."""
        before = self._pods.get(pod.key)
        if before is not None and group_of(before) != group_of(pod):
            self.remove(pod.key)
        group = self._groups.setdefault(group_of(pod), _Group())
        group.pods[pod.key] = self._pods[pod.key] = pod
        return group.parked

    def remove(self, key: Key) -> None:
        """It is bound, finished, gone, or not ours."""
        pod = self._pods.pop(key, None)
        if pod is None:
            return
        group = self._groups[group_of(pod)]
        del group.pods[key]
        if not group.pods:
            del self._groups[group_of(pod)]
        self.unhold(key)
        self._held.forget(key)

    def take(self, now: Millis, most: int) -> list[Pending]:
        """The next pods to try, in order of service, at most `most`."""
        self._release(now)
        ready = [self._sorted(group) for group in self._groups.values() if not group.parked]
        return list(islice(heapq.merge(*ready, key=lambda pod: pod.order), most))

    def placed(self, key: Key) -> None:
        """Out of service until `hold` or `remove`: its bind is on the way."""
        self._placed.add(key)
        self._refused.discard(key)

    def hold(self, key: Key, now: Millis) -> Failure | None:
        """Its bind was refused. Why its group is parked, if it has been meanwhile."""
        pod = self._pods.get(key)
        if pod is None:
            return None
        self._placed.discard(key)
        self._refused.add(key)
        self._held.fail(key, now)
        return self._groups[group_of(pod)].parked

    def unhold(self, key: Key) -> None:
        """Its state has changed since it was refused."""
        self._placed.discard(key)
        self._refused.discard(key)

    def park(self, group_id: GroupId, failure: Failure, now: Millis, *, progress: bool) -> list[Pending]:
        """No node for this group until a change. Returns all its waiting pods, also those not tried themselves, and
        those that are held."""
        group = self._groups[group_id]
        group.parked, group.tried_ms = failure, now
        group.failures = 1 if progress else group.failures + 1
        return sorted((p for p in group.pods.values() if p.key not in self._placed), key=lambda pod: pod.order)

    def wake(self, change: Change, now: Millis) -> None:
        """Something happened: parked groups that it may help are due after their back-off.

        When the clock was set back since they were tried, they are due at once.
        """
        for group_id, group in self._groups.items():
            if group.parked and change & group.parked.wakes_on:
                due_ms = group.tried_ms + self._backoff.delay_ms(group.failures)
                self._wakes.add(group_id, now if now < group.tried_ms else max(now, due_ms))

    def next_at(self) -> Millis | None:
        return min((at for at in (self._wakes.next_at(), self._held.next_at()) if at is not None), default=None)

    def clear(self) -> None:
        for table in (self._pods, self._groups, self._wakes, self._held, self._placed, self._refused):
            table.clear()

    def _release(self, now: Millis) -> None:
        while (group_id := self._wakes.pop(now)) is not None:
            if group_id in self._groups:
                self._groups[group_id].parked = None
        while (key := self._held.pop(now)) is not None:
            self._refused.discard(key)

    def _sorted(self, group: _Group) -> list[Pending]:
        """Those that may be tried."""
        waiting = (p for p in group.pods.values() if p.key not in self._placed and p.key not in self._refused)
        return sorted(waiting, key=lambda pod: pod.order)

"""What pods are told about why they wait: the condition PodScheduled=False, and an Event with the same words.

Written only when the words change, and changed words at most every `refresh_ms`: on a busy cluster the numbers in
them move all the time.
"""

from __future__ import annotations

from itertools import islice

import msgspec

from actors.api.clock import Millis, format_time
from actors.api.key import Key
from actors.reconcile.actions import Emit, Patch, PatchType
from actors.reconcile.conditions import find_condition
from actors.reconcile.events import EventRecorder
from actors.scheduler.cycle import UNSCHEDULABLE
from actors.scheduler.shape import Pod


class _Told(msgspec.Struct):
    reason: str
    message: str
    at_ms: Millis


class Reports:
    def __init__(self, events: EventRecorder, refresh_ms: Millis) -> None:
        self._events = events
        self._refresh_ms = refresh_ms
        self._told: dict[Key, _Told] = {}
        self._outbox: dict[Key, tuple[str, str, str]] = {}  # uid, reason, message

    def learn(self, key: Key, pod: Pod) -> None:
        """What the pod's condition says."""
        known = find_condition(pod.status.conditions, "PodScheduled")
        if known is None or known.status != "False":
            return
        before = self._told.get(key)
        self._told[key] = _Told(known.reason, known.message, before.at_ms if before else 0)
        if self._outbox.get(key, ("",))[1:] == (known.reason, known.message):
            del self._outbox[key]

    def tell(self, key: Key, uid: str, reason: str, message: str) -> None:
        told = self._told.get(key)
        if told is None or (told.reason, told.message) != (reason, message):
            self._outbox[key] = (uid, reason, message)
        else:
            self._outbox.pop(key, None)

    def forget(self, key: Key) -> None:
        """The pod waits no more."""
        self._told.pop(key, None)
        self._outbox.pop(key, None)

    def retry(self, write: Patch, now: Millis) -> None:
        """The write was refused, or nobody knows: it is due again like changed words."""
        told = self._told.get(write.key)
        if told is not None and write.key not in self._outbox:
            self._outbox[write.key] = (write.uid, told.reason, told.message)
            self._told[write.key] = _Told("", "", now)

    def flush(self, now: Millis, most: int) -> list[Patch]:
        due = list(islice((key for key in self._outbox if not 0 < self._due_ms(key) - now <= self._refresh_ms), most))
        return [self._write(key, *self._outbox.pop(key), now) for key in due]

    def next_at(self) -> Millis | None:
        return min((self._due_ms(key) for key in self._outbox), default=None)

    def clear(self) -> None:
        self._told.clear()
        self._outbox.clear()

    def _due_ms(self, key: Key) -> Millis:
        told = self._told.get(key)
        return 0 if told is None else told.at_ms + self._refresh_ms

    def _write(self, key: Key, uid: str, reason: str, message: str, now: Millis) -> Patch:
        before = self._told.get(key)
        self._told[key] = _Told(reason, message, now)
        if reason == UNSCHEDULABLE:
            told = Emit(regarding=key, uid=uid, reason="FailedScheduling", message=message, type="Warning")
            self._events.record(told, now)
        row = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
        if before is None:
            row["lastTransitionTime"] = format_time(now)
        patch = {"status": {"conditions": [row]}}
        return Patch(key=key, patch=patch, type=PatchType.STRATEGIC, subresource="status", uid=uid)

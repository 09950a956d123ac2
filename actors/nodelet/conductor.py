"""Looks at each pod when its time has come, and turns what is to be done into operations for the outbox. Pure.

It keeps the books that are the same for every pod: which operation is under way, which slot must be left alone, which
stage the pod is in, what is said about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from actors.api.clock import Millis
from actors.api.codec import decode
from actors.api.pod import Pod
from actors.nodelet.admission import find_refusal
from actors.nodelet.agenda import NEVER_MS, Agenda
from actors.nodelet.lifecycle import NEXT, Stage
from actors.nodelet.operations import AllocateDevices, CheckImage, Failure, Operation, Result
from actors.nodelet.outcome import Said, absorb, absorb_failure, begin, retry_after
from actors.nodelet.record import Flight, PodRecord, Retry, all_containers
from actors.nodelet.resize import DEFERRED, find_obstacle, is_resizing, sizes_of
from actors.nodelet.spec import NodeView
from actors.nodelet.sync_pod import Blocked, Notice, Step, Wake, derive_stage, plan_pod
from actors.nodelet.termination import find_stop
from actors.nodelet.unsupported import reported_fields
from actors.nodelet.waiting import PULL_ERROR_SHOWN_MS
from actors.reconcile.actions import Emit
from actors.reconcile.events import EventRecorder

_HISTORY_LENGTH = 16
#: How soon a pod looks again for devices that another still has.
_LEFT_MS = 200
#: How soon a size that cannot be had now is asked for again.
RESIZE_RETRY_MS = 2_000
#: What an Event calls a pod that is blocked, by the first part of the slot.
_BLOCKED_REASONS = {"volumes": "FailedMount", "sandbox": "FailedCreatePodSandBox"}
_ENDING = frozenset({Stage.STOPPING, Stage.CLEANING, Stage.GONE})


class IllegalStage(Exception):
    """A pod went to a stage that may not follow the one it was in: a defect of ours, with its story."""

    def __init__(self, record: PodRecord, before: Stage | None, after: Stage, history: Sequence[str]) -> None:
        super().__init__(f"pod {record.key} ({record.uid}) went from {before} to {after}; before that: {history}")


class Conductor:
    """`plans`: when to look at which pod for operations; `writes`: when for what the store is to hear."""

    def __init__(self, events: EventRecorder) -> None:
        self.records: dict[str, PodRecord] = {}
        self.plans, self.writes = Agenda(), Agenda()
        self.outbox: list[Operation] = []
        self.step = 0
        self._events = events
        self._stages: dict[str, Stage] = {}
        self._history: dict[str, list[str]] = {}

    def look_at(self, record: PodRecord) -> None:
        self.plans.at(record.uid, 0)
        self.writes.no_later(record.uid, 0)

    def sync(self, view: NodeView, now: Millis) -> None:
        for uid in self.plans.due(now):
            self.plans.at(uid, NEVER_MS)
            self.writes.no_later(uid, 0)
            self._sync_pod(self.records[uid], view, now)

    def absorb(self, record: PodRecord, operation: Operation, result: Result, now: Millis) -> None:
        """What became of an operation, whenever it is heard."""
        flight = record.in_flight.get(operation.slot)
        if flight is not None and flight.operation == operation:
            del record.in_flight[operation.slot]
        self._mark(record)
        if isinstance(result, Failure):
            said = absorb_failure(record, operation, result, now)
        else:
            said = absorb(record, operation, result, now)
            if not (isinstance(operation, CheckImage) and result is None):
                record.retries.pop(operation.slot, None)
        self.say(record, said, now)
        self.look_at(record)

    def abandoned(self) -> list[Operation]:
        """Operations under way that may be cancelled: their pod shall not run any more."""
        ending = (record for record in self.records.values() if self._stages.get(record.uid) in _ENDING)
        flights = (flight.operation for record in ending for flight in record.in_flight.values())
        return [operation for operation in flights if operation.ABANDONABLE]

    def say(self, record: PodRecord, said: Iterable[Said], now: Millis) -> None:
        for one in said:
            emit = Emit(regarding=record.key, uid=record.uid, reason=one.reason, message=one.message, type=one.type)
            if record.pod is not None:
                self._events.record(emit, now)

    def _sync_pod(self, record: PodRecord, view: NodeView, now: Millis) -> None:
        self._admit(record, view, now)
        self._resize(record, view, now)
        self._expire(record, now)
        stop = find_stop(record, now)
        stage = self._enter(record, derive_stage(record, stop))
        for step in plan_pod(record, stage, stop, view, now):
            self._take(record, step, now)
        if record.resizing and record.pod is not None and not is_resizing(record, record.pod):
            record.resizing = False
            self.say(record, [Said("Normal", "ResizeCompleted", _told("completed", record.pod))], now)
        if stage == Stage.GONE and record.pod is None:
            self._forget(record)

    def _take(self, record: PodRecord, step: Step, now: Millis) -> None:
        match step:
            case Wake(at_ms):
                self.plans.no_later(record.uid, at_ms)
            case Notice(topic, said):
                self._say_once(record, topic, said, now)
            case Blocked(slot, failure):
                self._block(record, slot, failure, now)
            case Operation():
                self._issue(record, step, now)

    def _issue(self, record: PodRecord, operation: Operation, now: Millis) -> None:
        """Unless the slot is busy, or must be left alone after a failure."""
        slot = operation.slot
        retry = record.retries.get(slot)
        if slot in record.in_flight:
            return
        if isinstance(operation, AllocateDevices) and self._are_left(operation.device_ids):
            self.plans.no_later(record.uid, now + _LEFT_MS)
            return
        if retry is not None and not retry.is_due(now):
            self._wait(record, slot, retry, now)
            return
        record.in_flight[slot] = Flight(operation, now)
        self.plans.no_later(record.uid, record.in_flight[slot].deadline_ms)
        self._mark(record)
        self.outbox.append(operation)
        self.say(record, begin(record, operation), now)

    def _are_left(self, device_ids: Sequence[str]) -> bool:
        """Does a pod that the store has given up still have one of these? A start that was under way may yet come."""
        return any(record.held.intersection(device_ids) for record in self.records.values() if record.pod is None)

    def _block(self, record: PodRecord, slot: str, failure: Failure, now: Millis) -> None:
        retry = record.retries.get(slot)
        if retry is None or retry.is_due(now):
            retry = record.retries[slot] = retry_after(slot, retry, failure, now)
            record.config_stale = True
            record.absent.discard(slot.removeprefix("image/"))
            reason = _BLOCKED_REASONS.get(slot.partition("/")[0], "Failed")
            self.say(record, [Said("Warning", reason, failure.message)], now)
            self.plans.no_later(record.uid, now)
        self._wait(record, slot, retry, now)

    def _wait(self, record: PodRecord, slot: str, retry: Retry, now: Millis) -> None:
        self.plans.no_later(record.uid, retry.due_ms)
        shown_ms = retry.failed_ms + PULL_ERROR_SHOWN_MS
        if slot.startswith("image/") and now < shown_ms:
            self.plans.no_later(record.uid, shown_ms)

    def _expire(self, record: PodRecord, now: Millis) -> None:
        """An operation of which nothing was heard in its time is lost: it failed, and may have happened.

        Its time begins anew when the clock is set back.
        """
        for slot, flight in list(record.in_flight.items()):
            if now < flight.since_ms:
                flight = record.in_flight[slot] = Flight(flight.operation, now)
            if now >= flight.deadline_ms:
                lost = Failure(reason="OperationLost", message=f"{slot} was not answered in time")
                self.absorb(record, flight.operation, lost, now)
            else:
                self.plans.no_later(record.uid, flight.deadline_ms)

    def _admit(self, record: PodRecord, view: NodeView, now: Millis) -> None:
        """Once per pod. What has a sandbox or a start time was admitted before, by this nodelet or its predecessor."""
        pod, stored = record.pod, record.stored
        if pod is None or stored is None or record.admitted or record.is_terminal or record.refusal is not None:
            return
        record.started_ms = record.started_ms or now
        if not record.sandboxes and not pod.metadata.is_deleting:
            record.refusal = find_refusal(
                pod,
                decode(stored),
                self._admitted(),
                view.allocatable,
                view.facts,
                view.config.allowed_unsafe_sysctls,
            )
        if record.refusal is not None:
            self.say(record, [Said("Warning", record.refusal.reason, record.refusal.message)], now)
            return
        record.admitted = True
        fields = reported_fields(decode(stored))
        if fields:
            message = f"raypod does not carry out {', '.join(fields)}; the pod runs without"
            self.say(record, [Said("Warning", "UnsupportedField", message)], now)

    def _resize(self, record: PodRecord, view: NodeView, now: Millis) -> None:
        """Allocate what the pod asks for by now, or say why not. What cannot be had now is asked for again."""
        wanted, present = record.wanted, record.pod
        if wanted is None or present is None or not record.admitted or record.is_terminal:
            return
        if wanted is present or wanted.metadata.is_deleting:
            record.resize_pending = None
            return
        others = [other for other in self._admitted() if other is not present]
        pending = find_obstacle(wanted, present, others, view.allocatable)
        if pending is None:
            record.sizes, record.pod, record.resizing = sizes_of(wanted), wanted, True
            self.say(record, [Said("Normal", "ResizeStarted", _told("started", wanted))], now)
        elif pending != record.resize_pending:
            words = f"Pod resize {pending.reason}: {pending.message}"
            self.say(record, [Said("Warning", f"Resize{pending.reason}", words)], now)
        record.resize_pending = pending
        if pending is not None and pending.reason == DEFERRED:
            self.plans.no_later(record.uid, now + RESIZE_RETRY_MS)

    def _admitted(self) -> list[Pod]:
        return [r.pod for r in self.records.values() if r.admitted and r.pod is not None and not r.is_terminal]

    def _enter(self, record: PodRecord, stage: Stage) -> Stage:
        before, history = self._stages.get(record.uid), self._history.setdefault(record.uid, [])
        if before == stage:
            return stage
        if stage not in NEXT[before]:
            raise IllegalStage(record, before, stage, history)
        self._stages[record.uid] = stage
        history.append(f"{before} -> {stage} at step {self.step}")
        del history[:-_HISTORY_LENGTH]
        return stage

    def _forget(self, record: PodRecord) -> None:
        for table in (self.records, self._stages, self._history):
            table.pop(record.uid, None)
        self.plans.forget(record.uid)
        self.writes.forget(record.uid)

    def _mark(self, record: PodRecord) -> None:
        """An operation touches it now: a listing that has begun does not judge it."""
        self.step += 1
        record.touched = self.step

    def _say_once(self, record: PodRecord, topic: str, said: Said, now: Millis) -> None:
        if topic not in record.noticed:
            record.noticed.add(topic)
            self.say(record, [said], now)


def _told(what: str, pod: Pod) -> str:
    """As the kubelet's Events about resizes are worded: with what is allocated, as JSON."""
    rows = [{"name": c.name, "resources": c.resources} for c in all_containers(pod)]
    told = msgspec.json.encode({"containers": rows, "generation": pod.metadata.generation})
    return f"Pod resize {what}: {told.decode()}"

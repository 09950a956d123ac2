"""The nodelet's deterministic core: towards the store a `reconcile.core.Core`, towards the node operations and results.

The executor drives one for a real node; the simulator drives the same object with a fake node, lost, repeated and slow
operations, and crashes. Whatever it holds, `relist` and `adopt` restore: no container is started twice or forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from actors.api.clock import Millis, parse_time
from actors.api.codec import decode, lens
from actors.api.key import Key, Stored
from actors.api.kinds import EVENT, POD
from actors.api.pod import Pod
from actors.nodelet.admission import find_refusal
from actors.nodelet.agenda import NEVER_MS, Agenda
from actors.nodelet.config import NodeletConfig
from actors.nodelet.facts import NodeFacts
from actors.nodelet.inventory import absorb_listing, find_record
from actors.nodelet.lifecycle import NEXT, Stage
from actors.nodelet.node import NodeKeeper
from actors.nodelet.operations import (
    CheckImage,
    CreateContainer,
    Failure,
    Listing,
    ListNode,
    Operation,
    Result,
    StartContainer,
)
from actors.nodelet.outcome import Said, absorb, absorb_container, absorb_failure, begin, retry_after
from actors.nodelet.record import Flight, PodRecord, Retry
from actors.nodelet.reporting import plan_writes
from actors.nodelet.resources import derive_allocatable
from actors.nodelet.spec import NodeView
from actors.nodelet.sync_pod import Blocked, Notice, Step, Wake, derive_stage, plan_pod
from actors.nodelet.termination import find_stop
from actors.nodelet.unsupported import reported_fields
from actors.nodelet.waiting import PULL_ERROR_SHOWN_MS
from actors.plugins.runtime.port import ContainerStatus, Sandbox
from actors.reconcile.actions import Create, Delete, Emit, Patch, Reply, StoreWrite
from actors.reconcile.events import EventRecorder
from actors.reconcile.revisions import Revisions
from actors.reconcile.watch import EventType, Selection, WatchBatch

#: Added to an operation's own time limit before it counts as lost.
LOST_AFTER_MS = 5_000
#: How long a pod whose status the store refused is left alone.
WRITE_RETRY_MS = 5_000
_HISTORY_LENGTH = 16
_ENDING = frozenset({Stage.STOPPING, Stage.CLEANING, Stage.GONE})


class IllegalStage(Exception):
    """A pod went to a stage that may not follow the one it was in: a defect of ours, with its story."""

    def __init__(self, record: PodRecord, before: Stage | None, after: Stage, history: Sequence[str]) -> None:
        super().__init__(f"pod {record.key} ({record.uid}) went from {before} to {after}; before that: {history}")


class NodeletCore:
    """Nothing is done to pods before `learn`, `adopt` and `relist`; in which order they come is all the same."""

    def __init__(self, node_name: str, config: NodeletConfig) -> None:
        self.node_name, self.config = node_name, config
        self._keeper = NodeKeeper(node_name, config)
        self._events = EventRecorder("nodelet")
        self._revisions = Revisions()
        self._records: dict[str, PodRecord] = {}
        self._uids: dict[Key, str] = {}
        self._stages: dict[str, Stage] = {}
        self._history: dict[str, list[str]] = {}
        self._plans, self._writes = Agenda(), Agenda()
        self._outbox: list[Operation] = []
        self._view: NodeView | None = None
        self._listed = self._adopted = False
        self._list_flight: Flight | None = None
        self._list_ms: Millis = 0
        self._step = self._list_step = 0

    # Towards the store: reconcile.core.Core.

    def selection(self) -> Selection:
        return Selection(resources=(POD.resource,), fields=f"spec.nodeName={self.node_name}")

    def relist(self, items: Sequence[Stored], revision: int, now: Millis) -> None:
        self._revisions.clear()
        self._keeper.forget()
        self._listed = True
        present = {stored.uid for stored in items}
        for record in list(self._records.values()):
            record.confirmed = False
            if record.uid not in present:
                self._lose(record)
        for stored in items:
            self._revisions.accepts(stored)
            self._see(stored)

    def observe(self, batch: WatchBatch, now: Millis) -> None:
        for event in batch.events:
            if event.type == EventType.DELETED:
                if self._revisions.accepts_removal(event.stored) and event.stored.uid in self._records:
                    self._lose(self._records[event.stored.uid])
            elif self._revisions.accepts(event.stored):
                self._see(event.stored)
        self._revisions.settle(batch.revision)

    def decide(self, now: Millis) -> Sequence[StoreWrite]:
        writes = self._keeper.decide(now)
        self._sync(now)
        if self._view is not None and self._is_synced():
            for uid in self._writes.due(now):
                self._writes.at(uid, NEVER_MS)
                writes.extend(plan_writes(self._records[uid], self._view, now))
        return [*writes, *self._events.flush(now)]

    def replied(self, writes: Sequence[StoreWrite], replies: Sequence[Reply], now: Millis) -> None:
        for write, reply in zip(writes, replies, strict=True):
            if self._keeper.replied(write, reply, now):
                continue
            if _resource_of(write) == EVENT.resource:
                self._events.replied([write], [reply], now)
            elif isinstance(write, Patch | Delete) and write.uid in self._records:
                self._pod_replied(self._records[write.uid], write, reply, now)

    def wake_at(self) -> Millis | None:
        times = [self._keeper.wake_at(), self._events.next_at()]
        if self._is_synced():
            times += [self._plans.first_ms(), self._writes.first_ms(), self._next_listing_ms()]
        return min((time for time in times if time is not None), default=None)

    # Towards the node.

    def learn(self, facts: NodeFacts, now: Millis) -> None:
        """What the machine is and has. Called at start and whenever something of it changes."""
        self._keeper.learn(facts)
        self._view = NodeView(self.node_name, self.config, facts, derive_allocatable(facts, self.config))
        for record in self._records.values():
            self._look_at(record)

    def adopt(
        self,
        sandboxes: Iterable[Sandbox],
        containers: Iterable[ContainerStatus],
        now: Millis,
        volumes: frozenset[str] = frozenset(),
    ) -> None:
        """All that exists on the node, at start."""
        self._list_step = self._step
        listing = Listing(sandboxes=tuple(sandboxes), containers=tuple(containers), volumes=volumes)
        self._absorb_listing(listing, now)

    def operations(self, now: Millis) -> list[Operation]:
        """What to do now. Each is answered by `completed`; until then, or its time limit, it is not asked for again."""
        self._sync(now)
        operations, self._outbox = self._plan_listing(now) + self._outbox, []
        return operations

    def completed(self, operation: Operation, result: Result, now: Millis) -> None:
        """What became of an operation. May come late, twice, or for a pod that is gone."""
        if isinstance(operation, ListNode):
            self._list_flight, self._list_ms = None, now
            if isinstance(result, Listing):
                self._absorb_listing(result, now)
            return
        record = self._records.get(operation.pod_uid)
        if record is None:
            self._list_ms = 0  # it may have left something behind: look
            return
        flight = record.in_flight.get(operation.slot)
        if flight is not None and flight.operation == operation:
            del record.in_flight[operation.slot]
        self._absorb(record, operation, result, now)

    def container_event(self, status: ContainerStatus, now: Millis) -> None:
        """A container started or ended. May be old news."""
        record = find_record(self._records, status)
        if record is None:
            self._list_ms = 0
        elif absorb_container(record, status):
            self._look_at(record)

    def abandoned(self) -> list[Operation]:
        """Operations under way that may be cancelled: their pod shall not run any more."""
        ending = (record for record in self._records.values() if self._stages.get(record.uid) in _ENDING)
        flights = (flight.operation for record in ending for flight in record.in_flight.values())
        return [operation for operation in flights if operation.ABANDONABLE]

    @property
    def records(self) -> Mapping[str, PodRecord]:
        """By uid; for logs, health reports and the simulator's invariants. Read-only."""
        return self._records

    # Pods of the store.

    def _see(self, stored: Stored) -> None:
        before = self._records.get(self._uids.get(stored.key, ""))
        if before is not None and before.uid != stored.uid:
            self._lose(before)
        record = self._records.setdefault(stored.uid, PodRecord(uid=stored.uid, key=stored.key))
        self._uids[stored.key] = stored.uid
        record.key, record.stored, record.pod = stored.key, stored, lens(stored, Pod)
        record.status = decode(stored).get("status") or {}
        if record.status.get("startTime"):
            record.started_ms = parse_time(record.status["startTime"])
            record.admitted = record.refusal is None
        self._look_at(record)

    def _lose(self, record: PodRecord) -> None:
        """The store has it no longer: what is left of it on the node is to go."""
        record.pod = record.stored = None
        if self._uids.get(record.key) == record.uid:
            del self._uids[record.key]
        self._look_at(record)

    def _pod_replied(self, record: PodRecord, write: Patch | Delete, reply: Reply, now: Millis) -> None:
        reason = (reply.error or {}).get("reason")
        if reason in ("NotFound", "Conflict"):
            self._lose(record)  # the object of this uid is gone; a namesake has a record of its own
        elif reason is not None:
            self._writes.at(record.uid, now + WRITE_RETRY_MS)
        elif reply.removed and reply.stored is not None:
            self._revisions.accepts_removal(reply.stored)
            self._lose(record)
        elif reply.stored is not None:
            record.confirmed = record.confirmed or isinstance(write, Delete)
            if self._revisions.accepts(reply.stored):
                self._see(reply.stored)

    # What to do for each pod.

    def _sync(self, now: Millis) -> None:
        """Look at every pod whose time has come; what is to be done for it waits in the outbox."""
        if self._view is None or not self._is_synced():
            return
        for uid in self._plans.due(now):
            record = self._records[uid]
            self._plans.at(uid, NEVER_MS)
            self._writes.no_later(uid, 0)
            self._sync_pod(record, self._view, now)

    def _sync_pod(self, record: PodRecord, view: NodeView, now: Millis) -> None:
        self._admit(record, view, now)
        self._expire(record, now)
        stop = find_stop(record, now)
        stage = self._enter(record, derive_stage(record, stop))
        for step in plan_pod(record, stage, stop, view, now):
            self._take(record, step, now)
        if stage == Stage.GONE and record.pod is None:
            self._forget(record)

    def _take(self, record: PodRecord, step: Step, now: Millis) -> None:
        match step:
            case Wake(at_ms):
                self._plans.no_later(record.uid, at_ms)
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
        if retry is not None and not retry.is_due(now):
            self._wait(record, slot, retry, now)
            return
        record.in_flight[slot] = Flight(operation, now + operation.timeout_ms + LOST_AFTER_MS)
        self._plans.no_later(record.uid, record.in_flight[slot].deadline_ms)
        self._mark(record)
        self._outbox.append(operation)
        self._say(record, begin(record, operation), now)

    def _block(self, record: PodRecord, slot: str, failure: Failure, now: Millis) -> None:
        retry = record.retries.get(slot)
        if retry is None or retry.is_due(now):
            retry = record.retries[slot] = retry_after(slot, retry, failure, now)
            record.config_stale = True
            record.absent.discard(slot.removeprefix("image/"))
            self._say(record, [Said("Warning", "FailedMount" if slot == "volumes" else "Failed", failure.message)], now)
            self._plans.no_later(record.uid, now)
        self._wait(record, slot, retry, now)

    def _wait(self, record: PodRecord, slot: str, retry: Retry, now: Millis) -> None:
        self._plans.no_later(record.uid, retry.due_ms)
        shown_ms = retry.failed_ms + PULL_ERROR_SHOWN_MS
        if slot.startswith("image/") and now < shown_ms:
            self._plans.no_later(record.uid, shown_ms)

    def _expire(self, record: PodRecord, now: Millis) -> None:
        """An operation of which nothing was heard in its time is lost: it failed, and may have happened."""
        for slot, flight in list(record.in_flight.items()):
            if now >= flight.deadline_ms:
                del record.in_flight[slot]
                lost = Failure(reason="OperationLost", message=f"{slot} was not answered in time")
                self._absorb(record, flight.operation, lost, now)
            else:
                self._plans.no_later(record.uid, flight.deadline_ms)

    def _absorb(self, record: PodRecord, operation: Operation, result: Result, now: Millis) -> None:
        self._mark(record)
        if isinstance(result, Failure):
            said = absorb_failure(record, operation, result, now)
            if isinstance(operation, CreateContainer | StartContainer):
                self._list_ms = 0  # its sandbox may be gone: look
        else:
            said = absorb(record, operation, result, now)
            if not (isinstance(operation, CheckImage) and result is None):
                record.retries.pop(operation.slot, None)
        self._say(record, said, now)
        self._look_at(record)

    def _admit(self, record: PodRecord, view: NodeView, now: Millis) -> None:
        """Once per pod. What has a sandbox or a start time was admitted before, by this nodelet or its predecessor."""
        pod, stored = record.pod, record.stored
        if pod is None or stored is None or record.admitted or record.is_terminal or record.refusal is not None:
            return
        record.started_ms = record.started_ms or now
        if not record.sandboxes and not pod.metadata.is_deleting:
            others = [r.pod for r in self._records.values() if r.admitted and r.pod is not None and not r.is_terminal]
            record.refusal = find_refusal(pod, decode(stored), others, view.allocatable, view.facts)
        if record.refusal is not None:
            self._say(record, [Said("Warning", record.refusal.reason, record.refusal.message)], now)
            return
        record.admitted = True
        fields = reported_fields(decode(stored))
        if fields:
            message = f"raypod does not carry out {', '.join(fields)}; the pod runs without"
            self._say(record, [Said("Warning", "UnsupportedField", message)], now)

    def _enter(self, record: PodRecord, stage: Stage) -> Stage:
        before, history = self._stages.get(record.uid), self._history.setdefault(record.uid, [])
        if before == stage:
            return stage
        if stage not in NEXT[before]:
            raise IllegalStage(record, before, stage, history)
        self._stages[record.uid] = stage
        history.append(f"{before} -> {stage} at step {self._step}")
        del history[:-_HISTORY_LENGTH]
        return stage

    def _forget(self, record: PodRecord) -> None:
        for table in (self._records, self._stages, self._history):
            table.pop(record.uid, None)
        self._plans.forget(record.uid)
        self._writes.forget(record.uid)

    def _say(self, record: PodRecord, said: Iterable[Said], now: Millis) -> None:
        for one in said:
            emit = Emit(regarding=record.key, uid=record.uid, reason=one.reason, message=one.message, type=one.type)
            if record.pod is not None:
                self._events.record(emit, now)

    def _say_once(self, record: PodRecord, topic: str, said: Said, now: Millis) -> None:
        if topic not in record.noticed:
            record.noticed.add(topic)
            self._say(record, [said], now)

    # What exists on the node.

    def _plan_listing(self, now: Millis) -> list[Operation]:
        if now < self._next_listing_ms() and self._list_ms <= now + self.config.relist_ms:
            return []
        operation = ListNode()
        self._list_flight = Flight(operation, now + operation.timeout_ms + LOST_AFTER_MS)
        self._list_step = self._step
        return [operation]

    def _next_listing_ms(self) -> Millis:
        if self._list_flight is not None:
            return self._list_flight.deadline_ms
        return self._list_ms + self.config.relist_ms if self._adopted and self._list_ms else 0

    def _absorb_listing(self, listing: Listing, now: Millis) -> None:
        self._list_ms, self._adopted = now, True
        for record in absorb_listing(self._records, listing, self._list_step):
            self._look_at(record)

    # When to look at which pod.

    def _is_synced(self) -> bool:
        return self._listed and self._adopted

    def _mark(self, record: PodRecord) -> None:
        """An operation touches it now: a listing that has begun does not judge it."""
        self._step += 1
        record.touched = self._step

    def _look_at(self, record: PodRecord) -> None:
        self._plans.at(record.uid, 0)
        self._writes.no_later(record.uid, 0)


def _resource_of(write: StoreWrite) -> str:
    return write.resource if isinstance(write, Create) else write.key.resource

"""The nodelet's deterministic core: towards the store a `reconcile.core.Core`, towards the node operations and results.

The executor drives one for a real node; the simulator drives the same object with a fake node, lost, repeated and slow
operations, and crashes. Whatever it holds, `relist` and `adopt` restore: no container is started twice or forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from actors.api.clock import Millis, parse_time
from actors.api.codec import decode, lens
from actors.api.key import Key, Stored
from actors.api.kinds import EVENT, POD
from actors.api.pod import Pod
from actors.nodelet.agenda import NEVER_MS
from actors.nodelet.conductor import Conductor
from actors.nodelet.config import NodeletConfig
from actors.nodelet.facts import NodeFacts
from actors.nodelet.inventory import Inventory, find_record
from actors.nodelet.node import NodeKeeper
from actors.nodelet.operations import CreateContainer, Failure, Listing, ListNode, Operation, Result, StartContainer
from actors.nodelet.outcome import absorb_container
from actors.nodelet.record import PodRecord
from actors.nodelet.reporting import plan_writes
from actors.nodelet.resize import first_sizes, with_sizes
from actors.nodelet.resources import derive_allocatable
from actors.nodelet.spec import NodeView
from actors.nodelet.volumes import shows_metadata
from actors.plugins.runtime.port import ContainerStatus, Sandbox
from actors.reconcile.actions import Create, Delete, Patch, Reply, StoreWrite
from actors.reconcile.events import EventRecorder
from actors.reconcile.revisions import Revisions
from actors.reconcile.watch import EventType, Selection, WatchBatch

#: How long a pod whose status the store refused is left alone.
WRITE_RETRY_MS = 5_000
#: How long an Event waits for a status to travel with.
EVENTS_DELAY_MS = 200


class NodeletCore:
    """Nothing is done to pods before `learn`, `adopt` and `relist`; in which order they come is all the same."""

    def __init__(self, node_name: str, config: NodeletConfig) -> None:
        self.node_name, self.config = node_name, config
        self._keeper = NodeKeeper(node_name, config)
        self._events = EventRecorder("nodelet")
        self._pods = Conductor(self._events)
        self._inventory = Inventory(config.relist_ms)
        self._revisions = Revisions()
        self._uids: dict[Key, str] = {}
        self._view: NodeView | None = None
        self._listed = False

    # Towards the store: reconcile.core.Core.

    def selection(self) -> Selection:
        return Selection(resources=(POD.resource,), fields=f"spec.nodeName={self.node_name}")

    def relist(self, items: Sequence[Stored], revision: int, now: Millis) -> None:
        self._revisions.clear()
        self._keeper.forget()
        self._listed = True
        present = {stored.uid for stored in items}
        for record in list(self._pods.records.values()):
            record.confirmed = False
            if record.uid not in present:
                self._lose(record)
        for stored in items:
            self._revisions.accepts(stored)
            self._see(stored)

    def observe(self, batch: WatchBatch, now: Millis) -> None:
        for event in batch.events:
            if event.type == EventType.DELETED:
                if self._revisions.accepts_removal(event.stored) and event.stored.uid in self.records:
                    self._lose(self._pods.records[event.stored.uid])
            elif self._revisions.accepts(event.stored):
                self._see(event.stored)
        self._revisions.settle(batch.revision)

    def decide(self, now: Millis) -> Sequence[StoreWrite]:
        writes = self._keeper.decide(now)
        self._sync(now)
        if self._view is not None and self._is_synced():
            for uid in self._pods.writes.due(now):
                self._pods.writes.at(uid, NEVER_MS)
                writes.extend(plan_writes(self._pods.records[uid], self._view, now))
        if writes or now >= self._events_ms():
            writes.extend(self._events.flush(now))
        return writes

    def replied(self, writes: Sequence[StoreWrite], replies: Sequence[Reply], now: Millis) -> None:
        for write, reply in zip(writes, replies, strict=True):
            if self._keeper.replied(write, reply, now):
                continue
            if _resource_of(write) == EVENT.resource:
                self._events.replied([write], [reply], now)
            elif isinstance(write, Patch | Delete) and write.uid in self.records:
                self._pod_replied(self._pods.records[write.uid], write, reply, now)

    def wake_at(self) -> Millis | None:
        times = [self._keeper.wake_at(), self._events_ms()]
        if self._is_synced():
            times += [self._pods.plans.first_ms(), self._pods.writes.first_ms(), self._inventory.next_ms()]
        first = min((time for time in times if time is not None), default=NEVER_MS)
        return first if first < NEVER_MS else None

    # Towards the node.

    def learn(self, facts: NodeFacts, now: Millis) -> None:
        """What the machine is and has. Called at start and whenever something of it changes."""
        self._view = NodeView(self.node_name, self.config, facts, derive_allocatable(facts, self.config))
        self._tell_keeper()
        for record in self._pods.records.values():
            self._pods.look_at(record)

    def adopt(
        self,
        sandboxes: Iterable[Sandbox],
        containers: Iterable[ContainerStatus],
        now: Millis,
        volumes: frozenset[str] = frozenset(),
    ) -> None:
        """All that exists on the node, at start."""
        listing = Listing(sandboxes=tuple(sandboxes), containers=tuple(containers), volumes=volumes)
        self._take_stock(ListNode(since=self._pods.step), listing, now)

    def operations(self, now: Millis) -> list[Operation]:
        """What to do now. Each is answered by `completed`; until then, or its time limit, it is not asked for again."""
        self._sync(now)
        operations = self._inventory.plan(now, self._pods.step) + self._pods.outbox
        self._pods.outbox = []
        return operations

    def completed(self, operation: Operation, result: Result, now: Millis) -> None:
        """What became of an operation. May come late, twice, or for a pod that is gone."""
        if isinstance(operation, ListNode):
            self._take_stock(operation, result, now)
            return
        record = self._pods.records.get(operation.pod_uid)
        if record is None:
            self._inventory.soon()  # it may have left something behind
            return
        if isinstance(result, Failure) and isinstance(operation, CreateContainer | StartContainer):
            self._inventory.soon()  # its sandbox may be gone
        self._pods.absorb(record, operation, result, now)

    def progressed(self, operation: Operation, text: str) -> None:
        """How far an operation is, in words for the pod's status. To be called now and then, not for every byte."""
        record = self._pods.records.get(operation.pod_uid)
        if record is not None and operation.slot in record.in_flight:
            record.progress[operation.slot] = text
            self._pods.writes.no_later(record.uid, 0)

    def container_event(self, status: ContainerStatus, now: Millis) -> None:
        """A container started or ended. May be old news."""
        record = find_record(self._pods.records, status)
        if record is None:
            self._inventory.soon()
        elif absorb_container(record, status):
            self._pods.look_at(record)

    def abandoned(self) -> list[Operation]:
        """Operations under way that may be cancelled: their pod shall not run any more."""
        return self._pods.abandoned()

    @property
    def records(self) -> Mapping[str, PodRecord]:
        """By uid; for logs, health reports and the simulator's invariants. Read-only."""
        return self._pods.records

    @property
    def complaint(self) -> str:
        """What keeps the node from running pods; "" when nothing does."""
        return self._inventory.complaint or (self._view.facts.message if self._view else "")

    # Pods of the store.

    def _see(self, stored: Stored) -> None:
        before = self._pods.records.get(self._uids.get(stored.key, ""))
        if before is not None and before.uid != stored.uid:
            self._lose(before)
        record = self._pods.records.setdefault(stored.uid, PodRecord(uid=stored.uid, key=stored.key))
        self._uids[stored.key] = stored.uid
        known, wanted = record.pod, lens(stored, Pod)
        record.status = decode(stored).get("status") or {}
        if record.sizes is None:
            record.sizes = first_sizes(wanted, record.status)
        record.wanted, record.pod = wanted, with_sizes(wanted, record.sizes)
        record.key, record.stored = stored.key, stored
        if known is not None and _labelled(known) != _labelled(record.pod) and shows_metadata(record.pod):
            record.volumes = None  # its files tell what it is called: they are written anew
        if record.status.get("startTime"):
            record.started_ms = parse_time(record.status["startTime"])
            record.admitted = record.refusal is None
        self._pods.look_at(record)

    def _lose(self, record: PodRecord) -> None:
        """The store has it no longer: what is left of it on the node is to go."""
        record.pod = record.wanted = record.stored = None
        if self._uids.get(record.key) == record.uid:
            del self._uids[record.key]
        self._pods.look_at(record)

    def _pod_replied(self, record: PodRecord, write: Patch | Delete, reply: Reply, now: Millis) -> None:
        """A refusal ends no pod, not even NotFound: that its object is gone is for the watch to say. And when it has
        said so, a reply that comes late brings nothing back: no uid is used twice."""
        if record.pod is None:
            return
        if reply.error is not None:
            self._pods.writes.at(record.uid, now + WRITE_RETRY_MS)
        elif reply.removed and reply.stored is not None:
            self._revisions.accepts_removal(reply.stored)
            self._lose(record)
        elif reply.stored is not None:
            record.confirmed = record.confirmed or isinstance(write, Delete)
            if self._revisions.accepts(reply.stored):
                self._see(reply.stored)

    # The node.

    def _sync(self, now: Millis) -> None:
        if self._view is not None and self._is_synced():
            self._pods.sync(self._view, now)

    def _events_ms(self) -> Millis:
        """Events travel with the next status, or after a while on their own: nobody's container waits for one."""
        due_ms = self._events.next_at()
        return NEVER_MS if due_ms is None else due_ms + EVENTS_DELAY_MS

    def _is_synced(self) -> bool:
        return self._listed and self._inventory.adopted

    def _take_stock(self, operation: ListNode, result: Result, now: Millis) -> None:
        for record in self._inventory.completed(self._pods.records, operation, result, now):
            self._pods.look_at(record)
        self._tell_keeper()

    def _tell_keeper(self) -> None:
        if self._view is not None:
            self._keeper.learn(msgspec.structs.replace(self._view.facts, message=self.complaint))


def _labelled(pod: Pod) -> tuple[dict[str, str] | None, dict[str, str] | None]:
    return pod.metadata.labels, pod.metadata.annotations


def _resource_of(write: StoreWrite) -> str:
    return write.resource if isinstance(write, Create) else write.key.resource

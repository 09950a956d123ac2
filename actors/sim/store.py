"""The store of a simulated cluster: the real engine over a disk of bytes that a crash can tear.

A commit is planned, becomes durable, is shown, and only then acknowledged; a crash may come between any two of these.
It loses all memory: what the disk holds is recovered, as the store actor does it. Watchers wait by topic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from actors.api.clock import Millis
from actors.api.key import Key, Stored
from actors.reconcile.actions import Reply, StoreWrite
from actors.reconcile.watch import Selection, WatchBatch
from actors.sim.faults import Faults
from actors.sim.timeline import Clock, Step, Timeline
from actors.sim.trace import Trace
from actors.store.backend.memory import MemoryBackend
from actors.store.bootstrap import bootstrap_writes
from actors.store.config import StoreConfig
from actors.store.draft import Plan, Request
from actors.store.engine import Engine
from actors.store.expiry import plan_expiry
from actors.store.ids import SeededIds
from actors.store.matching import matcher_of
from actors.store.port import Page
from actors.store.record import Batch

Acknowledge = Callable[[Sequence[Reply]], None]

_FSYNC_MS = (1, 8)
_RESTART_MS = (200, 3_000)
_HOUSEKEEPING_MS: Millis = 20_000
#: As short as it gets, so that history is forgotten and answers run out while a seed lasts.
_CONFIG = StoreConfig(retention_minutes=1, reply_retention_minutes=2, event_minutes=5)


class SimStore:
    """`on_durable` sees every batch once it can be lost no more, `on_answer` every answer, `on_restart` what came back:
    the places for laws."""

    def __init__(self, seed: int, timeline: Timeline, clock: Clock, faults: Faults, trace: Trace) -> None:
        self._seed, self._timeline, self._clock, self._faults, self._trace = seed, timeline, clock, faults, trace
        self.on_durable: list[Callable[[Batch], None]] = []
        self.on_answer: list[Callable[[str, Sequence[Reply]], None]] = []
        self.on_restart: list[Callable[[Engine], None]] = []
        self.is_up, self.life = True, 0
        self._queue: list[tuple[Request, Acknowledge]] = []
        self._waiters: dict[str, list[Step]] = {}
        self._is_writing = False
        self._backend = MemoryBackend()
        self._open()
        self._timeline.after(_HOUSEKEEPING_MS, self._keep_house)

    def _open(self) -> None:
        self.engine = Engine(self._backend, SeededIds(f"{self._seed}/{self.life}"), _CONFIG)

    def bootstrap(self) -> None:
        """At each start, as the store actor does it. Call it once the laws are there to see."""
        plan = self.engine.plan([Request(tuple(bootstrap_writes(_CONFIG)))], self._clock.now())
        self.engine.write(plan)
        self._is_durable(plan.batch)
        self.engine.show(plan)

    # --- writes -------------------------------------------------------------------------------------------------

    def commit(self, writes: Sequence[StoreWrite], idempotency_key: str, acknowledge: Acknowledge) -> None:
        """Acknowledged when durable; never, when the store dies first."""
        if self.is_up:
            self._queue.append((Request(tuple(writes), idempotency_key), acknowledge))
            self._write_next()

    def _write_next(self) -> None:
        """What came while a write was under way shares the next one."""
        if self._is_writing or not self._queue or not self.is_up:
            return
        group, self._queue = self._queue, []
        plan = self.engine.plan([request for request, _ in group], self._clock.now())
        self._is_writing, life = True, self.life
        self._timeline.after(self._faults.delay(*_FSYNC_MS), lambda: self._write(plan, group, life))

    def _write(self, plan: Plan, group: Sequence[tuple[Request, Acknowledge]], life: int) -> None:
        if life != self.life:
            return
        self._is_writing = False
        if self._faults.strikes("store_crash"):
            self._write_and_die(plan)
            return
        if self._faults.strikes("disk_failure"):
            self._fail_to_write(plan)
        else:
            self.engine.write(plan)
            self._is_durable(plan.batch)
            self._tell(self.engine.show(plan))
            for (request, acknowledge), replies in zip(group, plan.replies, strict=True):
                self._answer(request.idempotency_key, replies, acknowledge)
        self._write_next()

    def _write_and_die(self, plan: Plan) -> None:
        """Durable and never answered, or torn, or not begun."""
        if not self._faults.strikes("torn_write"):
            self.engine.write(plan)
            self._is_durable(plan.batch)
        elif plan.batch.records and self._faults.random.random() < 0.7:
            self.engine.write(plan)
            self._backend.tear(self._faults.delay(1, 4_000))
        self.crash()

    def _fail_to_write(self, plan: Plan) -> None:
        """The disk refused, before or after the bytes were there; the store asks it what it has. Nobody is answered."""
        if self._faults.random.random() < 0.5:
            self.engine.write(plan)
            self._is_durable(plan.batch)
        self.engine.reload()
        self._tell(list(self._waiters))

    def _is_durable(self, batch: Batch) -> None:
        for record in batch.records:
            self._trace.record(self._timeline.now, record)
        for look in self.on_durable:
            look(batch)

    def _answer(self, key: str, replies: Sequence[Reply], acknowledge: Acknowledge) -> None:
        for look in self.on_answer:
            look(key, replies)
        acknowledge(replies)

    # --- reads --------------------------------------------------------------------------------------------------

    def list(self, selection: Selection) -> Page:
        return self.engine.list(selection)

    def find(self, key: Key) -> Stored | None:
        return self.engine.log.find(key)

    def get(self, key: Key) -> Stored:
        """Raises NotFound."""
        return self.engine.get(key)

    def changes(self, selection: Selection, since: int) -> WatchBatch:
        """Raises Expired."""
        return self.engine.changes(selection, since)

    def wait(self, selection: Selection, step: Step) -> None:
        """Take `step` when there may be news for the selection, or when the connection breaks."""
        self._waiters.setdefault(matcher_of(selection).topic, []).append(step)

    def _tell(self, topics: Sequence[str] | set[str]) -> None:
        for topic in sorted(topics):
            for step in self._waiters.pop(topic, ()):
                self._timeline.after(0, step)

    # --- death, life, old age -----------------------------------------------------------------------------------

    def crash(self) -> None:
        self._trace.add(self._timeline.now, "store", "crashes")
        self.is_up, self._queue, self._is_writing = False, [], False
        self.life += 1
        self._tell(list(self._waiters))
        self._timeline.after(self._faults.delay(*_RESTART_MS), self._restart)

    def _restart(self) -> None:
        self._backend = MemoryBackend(bytes(self._backend.disk))
        self._open()
        self._trace.add(self._timeline.now, "store", f"up at revision {self.engine.revision}")
        for look in self.on_restart:
            look(self.engine)
        self.bootstrap()
        self.is_up = True

    def _keep_house(self) -> None:
        """Events that are old go, and so does history that nobody is promised."""
        self._timeline.after(_HOUSEKEEPING_MS, self._keep_house)
        if not self.is_up:
            return
        expired = plan_expiry(self.engine.log, self._clock.now())
        if expired:
            self.commit(expired, "", lambda replies: None)
        if not self._is_writing:
            self.engine.compact(self._clock.now())

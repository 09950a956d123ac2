"""The store of a simulated cluster: the real log over a disk that can lose a crash's last write.

A commit is planned, becomes durable (or is torn by a crash), is applied, and only then acknowledged. A crash loses
all memory; what is durable is recovered, exactly as the SQLite backend does it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from actors.api.clock import Millis
from actors.api.key import Key, Stored
from actors.reconcile.actions import Reply, StoreWrite
from actors.reconcile.watch import Selection, WatchBatch
from actors.sim.faults import Faults
from actors.sim.timeline import Timeline
from actors.sim.trace import Trace
from actors.store import reading, watch
from actors.store.config import StoreConfig
from actors.store.draft import Request, plan
from actors.store.ids import SeededIds
from actors.store.log import Log
from actors.store.port import Page
from actors.store.record import Batch, Recovered

Acknowledge = Callable[[Sequence[Reply]], None]
_FSYNC_MS = (1, 8)
_RESTART_MS = 1500


class SimStore:
    """`on_commit` sees every durable batch, in order: the place for invariants."""

    def __init__(self, seed: int, timeline: Timeline, faults: Faults, trace: Trace) -> None:
        self._seed, self._timeline, self._faults, self._trace = seed, timeline, faults, trace
        self.config = StoreConfig()
        self.log = Log(self.config)
        self.durable: list[Batch] = []
        self.on_commit: list[Callable[[Batch], None]] = []
        self.is_up = True
        self._lives = 0
        self._ids = SeededIds(f"{seed}/0")
        self._queue: list[tuple[Request, Acknowledge]] = []
        self._writing = False

    # --- writes -------------------------------------------------------------------------------------------------

    def commit(self, writes: Sequence[StoreWrite], idempotency_key: str, acknowledge: Acknowledge) -> None:
        """Acknowledged when durable; never, when the store dies first."""
        if self.is_up:
            self._queue.append((Request(tuple(writes), idempotency_key), acknowledge))
            self._write_next()

    def _write_next(self) -> None:
        if self._writing or not self._queue or not self.is_up:
            return
        group, self._queue = self._queue, []
        planned = plan(self.log, [request for request, _ in group], self._timeline.now, self._ids)
        self._writing, life = True, self._lives
        self._timeline.after(
            self._faults.delay(*_FSYNC_MS), lambda: self._written(planned.batch, planned.replies, group, life)
        )

    def _written(
        self,
        batch: Batch,
        replies: Sequence[Sequence[Reply]],
        group: Sequence[tuple[Request, Acknowledge]],
        life: int,
    ) -> None:
        if life != self._lives:
            return
        self._writing = False
        if self._faults.strikes("store_crash"):
            if not self._faults.strikes("torn_write"):
                self._make_durable(batch)
            self.crash()
            return
        self._make_durable(batch)
        self.log.apply(batch)
        for (_, acknowledge), reply in zip(group, replies, strict=True):
            acknowledge(reply)
        self._write_next()

    def _make_durable(self, batch: Batch) -> None:
        if batch.records or batch.answers:
            self.durable.append(batch)
        for record in batch.records:
            verb = "removed" if record.removed else "put"
            self._trace.add(self._timeline.now, "store", f"{record.revision} {verb} {record.stored.key}")
        for look in self.on_commit:
            look(batch)

    # --- reads --------------------------------------------------------------------------------------------------

    def list(self, selection: Selection) -> Page:
        return reading.select_page(self.log, selection)

    def find(self, key: Key) -> Stored | None:
        return self.log.find(key)

    def get(self, key: Key) -> Stored:
        """Raises NotFound."""
        return reading.get(self.log, key)

    def changes(self, selection: Selection, since: int) -> WatchBatch:
        """Raises Expired."""
        return watch.changes(self.log, selection, since)

    # --- death and life ----------------------------------------------------------------------------------------

    def crash(self) -> None:
        self._trace.add(self._timeline.now, "store", "crash")
        self.is_up, self._writing, self._queue = False, False, []
        self._lives += 1
        self._timeline.after(_RESTART_MS, self._restart)

    def _restart(self) -> None:
        records = tuple(record for batch in self.durable for record in batch.records)
        answers = tuple(answer for batch in self.durable for answer in batch.answers)
        revision = records[-1].revision if records else 0
        self.log = Log.recover(Recovered(records, answers, 0, revision), self.config)
        self._ids = SeededIds(f"{self._seed}/{self._lives}")
        self.is_up = True
        self._trace.add(self._timeline.now, "store", f"up at revision {revision}")

    def now(self) -> Millis:
        return self._timeline.now

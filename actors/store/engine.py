"""The whole store but for waiting: log, admission and a backend, one call at a time.

`commit` is `plan`, `write`, `show`, in this order; the shell (group.py) calls the three itself, to collect requests
while a write is under way, and the simulator may crash between any two. Time and ids come in as arguments.
"""

from __future__ import annotations

from collections.abc import Sequence

from actors.api.clock import Millis
from actors.api.key import Key, Stored
from actors.reconcile.actions import Reply, StoreWrite
from actors.reconcile.watch import Selection, WatchBatch
from actors.store import draft, reading, watch
from actors.store.backend.port import Backend
from actors.store.config import StoreConfig
from actors.store.draft import Plan, Request
from actors.store.ids import Ids
from actors.store.log import Log
from actors.store.port import Page
from actors.store.record import Compaction

__all__ = ["Engine", "Plan", "Request"]


class Engine:
    def __init__(self, backend: Backend, ids: Ids, config: StoreConfig | None = None) -> None:
        """Starts from what `backend` holds."""
        self.backend = backend
        self.ids = ids
        self.config = config or StoreConfig()
        self.plugins = self.config.admission.chain()
        self.log = Log.recover(backend.load(), self.config)

    @property
    def revision(self) -> int:
        return self.log.revision

    # --- the three steps of a commit ----------------------------------------------------------------------------

    def plan(self, requests: Sequence[Request], now: Millis) -> Plan:
        """Decide. Nothing is changed."""
        return draft.plan(self.log, requests, now, self.ids, self.plugins)

    def write(self, plan: Plan) -> None:
        """Make durable; blocks. Only what changes something is written. Fails with BackendError: `reload` then."""
        if plan.batch.records:
            self.backend.append(plan.batch)

    def show(self, plan: Plan) -> set[str]:
        """Let readers and watchers see it. Returns the topics that have news."""
        return self.log.apply(plan.batch)

    def commit(self, writes: Sequence[StoreWrite], now: Millis, idempotency_key: str = "") -> list[Reply]:
        """All three. Fails with BackendError; then nothing is shown."""
        plan = self.plan([Request(tuple(writes), idempotency_key)], now)
        self.write(plan)
        self.show(plan)
        return list(plan.replies[0])

    def reload(self) -> None:
        """After a failed write: go on from what is durable, whichever way that write went."""
        self.log = Log.recover(self.backend.load(), self.config)

    # --- reading ------------------------------------------------------------------------------------------------

    def get(self, key: Key, revision: int = 0) -> Stored:
        return reading.get(self.log, key, revision)

    def list(self, selection: Selection, limit: int = 0, cursor: str = "", revision: int = 0) -> Page:
        return reading.select_page(self.log, selection, limit, cursor, revision)

    def changes(self, selection: Selection, since: int) -> WatchBatch:
        """What is known already; does not wait."""
        return watch.changes(self.log, selection, since)

    # --- forgetting ---------------------------------------------------------------------------------------------

    def plan_compaction(self, now: Millis) -> Compaction | None:
        return self.log.plan_compaction(now)

    def compact(self, now: Millis) -> None:
        """Drop the history that retention no longer asks for."""
        while (compaction := self.plan_compaction(now)) is not None:
            self.backend.compact(compaction)
            self.log.apply_compaction(compaction)

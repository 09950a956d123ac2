"""One core on the simulated network: it lists, watches with lag, decides, commits, hears back, crashes, starts again.

Its client repeats a commit under the same idempotency key until it is answered, as `store.client` does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from actors.api.clock import Millis
from actors.api.errors import Expired
from actors.api.key import Stored
from actors.reconcile.actions import Reply, StoreWrite
from actors.reconcile.core import Core
from actors.reconcile.watch import Selection, WatchBatch
from actors.sim.faults import Faults
from actors.sim.store import SimStore
from actors.sim.timeline import Timeline
from actors.sim.trace import Trace

C = TypeVar("C", bound=Core)

_HOP_MS = (0, 2)
_POLL_MS = (5, 25)
_LAG_MS = (200, 3000)
_RETRY_MS = 400
_RESTART_MS = (300, 2000)
_WAKE_MS_MIN = 1


class Participant(Generic[C]):
    """`start(life)` makes a fresh core; `on_turn` is called at each turn (the nodelet's operations)."""

    def __init__(
        self,
        name: str,
        start: Callable[[int], C],
        store: SimStore,
        timeline: Timeline,
        faults: Faults,
        trace: Trace,
        crash_fault: str = "core_crash",
    ) -> None:
        self.name, self._start = name, start
        self._store, self._timeline, self._faults, self._trace = store, timeline, faults, trace
        self._crash_fault = crash_fault
        self.is_connected = True
        self.life = 0
        self.on_turn: Callable[[], None] = lambda: None
        self._commits = 0
        self._begin()

    # --- life ---------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self.core = self._start(self.life)
        self._selection: Selection = self.core.selection()
        self._listed = self._deciding = self._relist_wanted = False
        self._since = 0
        self._wake: Millis | None = None
        life = self.life
        self._timeline.after(self._faults.delay(*_HOP_MS), lambda: self._list(life))

    def crash(self, restart: bool = True) -> None:
        """All memory is gone. What was sent may still arrive; what comes back is not heard."""
        self._trace.add(self._timeline.now, self.name, "crash")
        self.life += 1
        life = self.life
        if restart:
            self._timeline.after(self._faults.delay(*_RESTART_MS), lambda: self._restart(life))

    def _restart(self, life: int) -> None:
        if life == self.life:
            self.restart()

    def restart(self) -> None:
        """A new life: an empty core that lists everything anew."""
        self.life += 1
        self._begin()

    # --- seeing -------------------------------------------------------------------------------------------------

    def _reachable(self) -> bool:
        return self._store.is_up and self.is_connected and not self._faults.strikes("request_lost")

    def _list(self, life: int) -> None:
        if life != self.life:
            return
        if not self._reachable():
            self._timeline.after(_RETRY_MS, lambda: self._list(life))
            return
        page = self._store.list(self._selection)
        self._timeline.after(self._lag(), lambda: self._relist(life, page.items, page.revision))

    def _relist(self, life: int, items: Sequence[Stored], revision: int) -> None:
        if life != self.life:
            return
        self._since, self._listed = revision, True
        self.core.relist(items, revision, self._timeline.now)
        self.turn()
        self._timeline.after(self._faults.delay(*_POLL_MS), lambda: self._poll(life))

    def _lag(self) -> Millis:
        return self._faults.delay(*(_LAG_MS if self._faults.strikes("watch_lag") else _HOP_MS))

    def _poll(self, life: int) -> None:
        if life != self.life:
            return
        if not self._reachable():
            self._timeline.after(_RETRY_MS, lambda: self._poll(life))
            return
        try:
            if self._faults.strikes("watch_expired"):
                raise Expired("too old resource version")
            batch = self._store.changes(self._selection, self._since)
        except Expired:
            self._history_lost(life)
            return
        self._timeline.after(self._lag() if batch.events else 0, lambda: self._observe(life, batch))

    def _history_lost(self, life: int) -> None:
        """As the shell loop does it: list again once a commit under way is answered, and decide nothing until then."""
        if self._deciding:
            self._relist_wanted = True
        else:
            self._listed = self._relist_wanted = False
            self._list(life)

    def _observe(self, life: int, batch: WatchBatch) -> None:
        if life != self.life:
            return
        self._since = batch.revision
        if batch.events:
            self.core.observe(batch, self._timeline.now)
            self.turn()
        if life == self.life:
            self._timeline.after(self._faults.delay(*_POLL_MS), lambda: self._poll(life))

    # --- deciding -----------------------------------------------------------------------------------------------

    def turn(self) -> None:
        """Let the core decide, unless it waits for a reply or for a list."""
        if self._faults.strikes(self._crash_fault):
            self.crash()
            return
        self.on_turn()
        if self._deciding or not self._listed:
            return
        writes = tuple(self.core.decide(self._timeline.now))
        if writes:
            self._deciding = True
            self._commits += 1
            self._send(self.life, writes, f"{self.name}/{self.life}/{self._commits}")
        self._plan_wake()

    def _plan_wake(self) -> None:
        at = self.core.wake_at()
        if at is None or self._deciding or (self._wake is not None and self._timeline.now < self._wake <= at):
            return
        self._wake, life = at, self.life
        self._timeline.after(max(at - self._timeline.now, _WAKE_MS_MIN), lambda: self._awake(life, at))

    def _awake(self, life: int, at: Millis) -> None:
        if life == self.life and self._wake == at:
            self._wake = None
            self.turn()

    def _send(self, life: int, writes: Sequence[StoreWrite], key: str) -> None:
        if life != self.life:
            return
        answered = False

        def hear(replies: Sequence[Reply]) -> None:
            nonlocal answered
            if answered or self._faults.strikes("reply_lost"):
                return
            answered = True
            self._timeline.after(self._faults.delay(*_HOP_MS), lambda: self._replied(life, writes, replies))

        def repeat() -> None:
            if not answered:
                self._send_once(life, writes, key, hear)
                self._timeline.after(_RETRY_MS, repeat)

        self._send_once(life, writes, key, hear)
        if self._faults.strikes("commit_repeated"):
            self._send_once(life, writes, key, hear)
        self._timeline.after(_RETRY_MS, repeat)

    def _send_once(
        self, life: int, writes: Sequence[StoreWrite], key: str, hear: Callable[[Sequence[Reply]], None]
    ) -> None:
        if life == self.life and self._reachable():
            self._timeline.after(self._faults.delay(*_HOP_MS), lambda: self._store.commit(writes, key, hear))

    def _replied(self, life: int, writes: Sequence[StoreWrite], replies: Sequence[Reply]) -> None:
        if life != self.life:
            return
        self._deciding = False
        self.core.replied(writes, replies, self._timeline.now)
        if self._relist_wanted:
            self._history_lost(life)
        self.turn()

"""One core on the simulated network: it lists, watches with lag, decides, commits, hears back, crashes, starts again.

As `store.loop.run_core` drives it: what the watch brings while a commit is under way is shown to the core after the
reply, and a lost history ends in a new list of the same core.
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
from actors.sim.link import HOP_MS, RETRY_MS, Link
from actors.sim.store import SimStore
from actors.sim.timeline import Clock, Timeline
from actors.sim.trace import Trace

C = TypeVar("C", bound=Core)

_LAG_MS = (200, 3_000)
_LONG_POLL_MS: Millis = 30_000
_RESTART_MS = (300, 2_000)
_PAUSE_MS = 20  # as in store.loop: a core that wants to wake in the past does not spin


class Participant(Generic[C]):
    """`start()` makes a fresh core. `on_turn` is called at each turn (the nodelet's operations)."""

    def __init__(
        self,
        name: str,
        start: Callable[[], C],
        clock: Clock,
        store: SimStore,
        timeline: Timeline,
        faults: Faults,
        trace: Trace,
        crash_fault: str = "core_crash",
    ) -> None:
        self.name, self._start, self.clock, self._crash_fault = name, start, clock, crash_fault
        self._store, self._timeline, self._faults, self._trace = store, timeline, faults, trace
        self.link = Link(store, timeline, faults)
        self.life = self._session = 0
        self.on_turn: Callable[[], None] = lambda: None
        self._commits = 0
        self._begin()

    # --- life ---------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self.link.begin_anew()
        self.core = self._start()
        self._selection: Selection = self.core.selection()
        self._is_listed = self._is_deciding = self._wants_list = False
        self._since = 0
        self._news: list[WatchBatch] = []
        self._wake_ms: Millis | None = None
        self._later(self._faults.delay(*HOP_MS), self._list)

    def crash(self, restart: bool = True) -> None:
        """All memory is gone. What was sent may still arrive; what comes back is not heard."""
        self._trace.add(self._timeline.now, self.name, "crashes")
        self.life += 1
        self._session += 1
        if restart:
            self._later(self._faults.delay(*_RESTART_MS), self.restart)

    def restart(self) -> None:
        """A new life: an empty core that lists everything anew."""
        self.life += 1
        self._session += 1
        self._begin()

    def _later(self, delay_ms: Millis, step: Callable[[], None]) -> None:
        """Unless the session with the store is over by then."""
        session = self._session
        self._timeline.after(delay_ms, lambda: step() if session == self._session else None)

    # --- seeing -------------------------------------------------------------------------------------------------

    def _list(self) -> None:
        if not self.link.reaches():
            self._later(RETRY_MS, self._list)
            return
        page = self._store.list(self._selection)
        self._later(self._lag(), lambda: self._relist(page.items, page.revision))

    def _relist(self, items: Sequence[Stored], revision: int) -> None:
        self._since, self._is_listed = revision, True
        self.core.relist(items, revision, self.clock.now())
        self.turn()
        self._later(0, self._poll)

    def _lag(self) -> Millis:
        return self._faults.delay(*(_LAG_MS if self._faults.strikes("watch_lag") else HOP_MS))

    def _poll(self) -> None:
        if not self.link.reaches():
            self._later(RETRY_MS, self._poll)
            return
        try:
            batch = self._store.changes(self._selection, self._since)
            if batch.events and self._faults.strikes("watch_expired"):
                raise Expired("too old resource version")
        except Expired:
            self._lose_history()
            return
        if batch.events:
            self._later(self._lag(), lambda: self._observe(batch))
        else:
            self._since = batch.revision
            self._wait_for_news()

    def _wait_for_news(self) -> None:
        session, is_waiting = self._session, True

        def poll_again() -> None:
            nonlocal is_waiting
            if is_waiting and session == self._session:
                is_waiting = False
                self._poll()

        self._store.wait(self._selection, poll_again)
        self._timeline.after(_LONG_POLL_MS, poll_again)

    def _observe(self, batch: WatchBatch) -> None:
        self._since = batch.revision
        self._news.append(batch)
        self._later(0, self._poll)
        if not self._is_deciding:
            self._show_news()
            self.turn()

    def _show_news(self) -> None:
        news, self._news = self._news, []
        for batch in news:
            self.core.observe(batch, self.clock.now())

    def _lose_history(self) -> None:
        """As the shell loop does it: list again once a commit under way is answered, and decide nothing until then."""
        if self._is_deciding:
            self._wants_list = True
        else:
            self._is_listed = self._wants_list = False
            self._list()

    # --- deciding -----------------------------------------------------------------------------------------------

    def turn(self) -> None:
        """Let the core decide, unless it waits for a reply or for a list. A crash may come before or after."""
        if self._faults.strikes(self._crash_fault):
            self.crash()
            return
        self.on_turn()
        if self._is_deciding or not self._is_listed:
            return
        writes = tuple(self.core.decide(self.clock.now()))
        if self._faults.strikes(self._crash_fault):
            self.crash()
            return
        if writes:
            self._is_deciding = True
            self._commit(writes)
        self._plan_wake()

    def _commit(self, writes: Sequence[StoreWrite]) -> None:
        self._commits += 1
        session, key = self._session, f"{self.name}/{self.life}/{self._commits}"
        self.link.commit(
            writes,
            key,
            hear=lambda replies: self._replied(writes, replies),
            give_up=self._give_up,
            is_wanted=lambda: session == self._session,
        )

    def _replied(self, writes: Sequence[StoreWrite], replies: Sequence[Reply]) -> None:
        self._is_deciding = False
        self.core.replied(writes, replies, self.clock.now())
        self._show_news()
        if self._wants_list:
            self._lose_history()
        self.turn()

    def _give_up(self) -> None:
        """Nobody knows what became of the commit: list, and decide anew (the shell loop's Unavailable)."""
        self._trace.add(self._timeline.now, self.name, "gives up on a commit")
        self._is_deciding = self._is_listed = self._wants_list = False
        self._wake_ms, self._news = None, []
        self.link.begin_anew()
        self._session += 1
        self._list()

    def _plan_wake(self) -> None:
        at, now = self.core.wake_at(), self.clock.now()
        if at is None or self._is_deciding or (self._wake_ms is not None and now < self._wake_ms <= at):
            return
        self._wake_ms = at
        self._later(max(at - now, _PAUSE_MS), lambda: self._awake(at))

    def _awake(self, at: Millis) -> None:
        if self._wake_ms == at:
            self._wake_ms = None
            self.turn()

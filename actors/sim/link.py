"""One client's way to the store: requests and replies are lost, late, repeated and out of order, or all cut off.

The client repeats a commit under the same idempotency key until it is answered or its time is up, as `store.client`
does. A message dies with the connection: with the life of the store that it was sent to, and when its client begins
anew. Until then one of a client that has died may still arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from actors.api.clock import Millis
from actors.reconcile.actions import Reply, StoreWrite
from actors.sim.faults import Faults
from actors.sim.store import SimStore
from actors.sim.timeline import Step, Timeline
from actors.store.client import DEADLINE_SECONDS

Hear = Callable[[Sequence[Reply]], None]

HOP_MS = (0, 2)
RETRY_MS: Millis = 400
SLOW_MS = (200, 5_000)
_DEADLINE_MS = int(1_000 * DEADLINE_SECONDS)


class Link:
    def __init__(self, store: SimStore, timeline: Timeline, faults: Faults) -> None:
        self._store, self._timeline, self._faults = store, timeline, faults
        self.is_connected = True
        self._connection = 0

    def begin_anew(self) -> None:
        """What is still under way will not arrive any more."""
        self._connection += 1

    def reaches(self) -> bool:
        """Does a request that is sent now arrive?"""
        return self._store.is_up and self.is_connected and not self._faults.strikes("request_lost")

    def commit(
        self, writes: Sequence[StoreWrite], key: str, hear: Hear, give_up: Step, is_wanted: Callable[[], bool]
    ) -> None:
        """`hear` gets the first answer that comes through; `give_up` is called when none did. Neither is when the
        caller is gone (`is_wanted`)."""
        answered, deadline = False, self._timeline.now + _DEADLINE_MS

        def arrive(replies: Sequence[Reply]) -> None:
            nonlocal answered
            if not answered and is_wanted():
                answered = True
                hear(replies)

        def answer(replies: Sequence[Reply]) -> None:
            if self.is_connected and not self._faults.strikes("reply_lost"):
                self._timeline.after(self._hop("reply_slow"), lambda: arrive(replies))

        def attempt() -> None:
            nonlocal answered
            if answered or not is_wanted():
                return
            if self._timeline.now >= deadline:
                answered = True
                give_up()
                return
            self._send(writes, key, answer)
            self._timeline.after(RETRY_MS, attempt)

        attempt()

    def _send(self, writes: Sequence[StoreWrite], key: str, answer: Hear) -> None:
        connection = (self._store.life, self._connection)

        def deliver() -> None:
            if connection == (self._store.life, self._connection):
                self._store.commit(writes, key, answer)

        if self.reaches():
            self._timeline.after(self._hop("request_slow"), deliver)
            if self._faults.strikes("commit_repeated"):
                self._timeline.after(self._faults.delay(0, SLOW_MS[1]), deliver)

    def _hop(self, slow_fault: str) -> Millis:
        return self._faults.delay(*(SLOW_MS if self._faults.strikes(slow_fault) else HOP_MS))

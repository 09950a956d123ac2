"""The form of every deterministic core: changes and a clock in, writes out, replies back in.

`store.loop.run_core` drives one against a store under Ray; `sim` drives the same object with a virtual clock,
lagging watches and crashes between any two of these calls. A core keeps no state that a relist cannot restore.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from actors.api.clock import Millis
from actors.api.key import Stored
from actors.reconcile.actions import Reply, StoreWrite
from actors.reconcile.watch import Selection, WatchBatch


class Core(Protocol):
    def selection(self) -> Selection:
        """What it must see. Constant over its life."""
        ...

    def relist(self, items: Sequence[Stored], revision: int, now: Millis) -> None:
        """Forget what was seen; these are all the selected objects at `revision`. The first call of all."""
        ...

    def observe(self, batch: WatchBatch, now: Millis) -> None:
        """Changes, in order. May repeat what own writes (`replied`) have already shown."""
        ...

    def decide(self, now: Millis) -> Sequence[StoreWrite]:
        """What to write now; empty when content. Called after each of the other calls and at `wake_at`.

        Until `replied`, `decide` is not called again. A crash may come before, during or after the commit.
        """
        ...

    def replied(self, writes: Sequence[StoreWrite], replies: Sequence[Reply], now: Millis) -> None:
        """What became of the last decision, in order. Its own writes are visible to the core from here on."""
        ...

    def wake_at(self) -> Millis | None:
        """When `decide` has something to do even if nothing changes; None when never."""
        ...

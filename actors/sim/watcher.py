"""Watchers that do nothing but watch, on the same bad network as everybody: what they believe is checked against the
stream's own promises at every step, and against the store at rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from actors.api.clock import Millis
from actors.api.key import Key, Stored
from actors.reconcile.actions import Reply, StoreWrite
from actors.reconcile.watch import EventType, Selection, WatchBatch
from actors.sim.laws.law import Breach
from actors.sim.store import SimStore

#: All objects; one node's pods; those with a label, which objects gain and lose.
SELECTIONS = {
    "watch-all": Selection(),
    "watch-node": Selection(resources=("pods",), fields="spec.nodeName=node-0"),
    "watch-jobs": Selection(resources=("pods", "jobs.batch"), labels="!app"),
}


class Watcher:
    """A `reconcile.core.Core` that never writes."""

    def __init__(self, name: str, selection: Selection) -> None:
        self._name, self._selection = name, selection
        self.known: dict[Key, Stored] = {}
        self._revision = 0

    def selection(self) -> Selection:
        return self._selection

    def relist(self, items: Sequence[Stored], revision: int, now: Millis) -> None:
        self.known = {stored.key: stored for stored in items}
        self._revision = revision

    def observe(self, batch: WatchBatch, now: Millis) -> None:
        for event in batch.events:
            key, stored = event.stored.key, event.stored
            if not self._revision < stored.revision <= batch.revision:
                raise Breach(f"{self._name} hears of {key} at {stored.revision}, after {self._revision}")
            if (event.type is EventType.ADDED) == (key in self.known):
                was = "was" if key in self.known else "was not"
                raise Breach(f"{self._name}: {key} is {event.type}, and it {was} there")
            self._revision = stored.revision
            if event.type is EventType.DELETED:
                del self.known[key]
            else:
                self.known[key] = stored
        self._revision = batch.revision

    def decide(self, now: Millis) -> Sequence[StoreWrite]:
        return ()

    def replied(self, writes: Sequence[StoreWrite], replies: Sequence[Reply], now: Millis) -> None:
        """It writes nothing."""

    def wake_at(self) -> Millis | None:
        return None

    def untrue(self, store: SimStore, is_told: Callable[[Key], bool]) -> Iterable[str]:
        """What it believes and is not so. `is_told`: whether to look at such objects at all."""
        found = {stored.key: stored for stored in store.list(self._selection).items}
        for key in sorted({**found, **self.known}):
            if is_told(key) and found.get(key) != self.known.get(key):
                yield f"{self._name} does not know the truth about {key}"

"""The law "read your writes", in one place: what a writer learned from its replies no older event undoes.

A watch may lag behind the replies, and a list may be older than both; a reply may be late, too, when somebody was asked
about the write first. Per key only a newer revision counts; a removal is remembered until the watch has passed it, and
what does not live by then, no older state brings back. Used by every cache of objects.
"""

from __future__ import annotations

from collections.abc import Iterable

from actors.api.key import Key, Stored


class Revisions:
    def __init__(self) -> None:
        self._live: dict[Key, int] = {}
        self._removed: dict[Key, int] = {}
        self._passed = 0

    def accepts(self, stored: Stored) -> bool:
        """Whether this state is news; remembers it as the live one."""
        key, revision = stored.key, stored.revision
        if revision <= self._live.get(key, self._passed) or revision <= self._removed.get(key, 0):
            return False
        self._removed.pop(key, None)
        self._live[key] = revision
        return True

    def accepts_removal(self, stored: Stored) -> bool:
        """Whether the object was thought to live and is gone now. A later namesake stays."""
        key, live = stored.key, self._live.get(stored.key, 0)
        if live > stored.revision:
            return False
        self._removed[key] = max(stored.revision, self._removed.get(key, 0))
        return self._live.pop(key, 0) > 0

    def vanished(self, listed: Iterable[Key], revision: int) -> list[Key]:
        """Forgets and returns the live keys that a list at `revision` should have shown and did not. What it does show
        is to be asked about next, and then `settle` told."""
        self._passed = 0
        present = set(listed)
        gone = [key for key, known in self._live.items() if known <= revision and key not in present]
        for key in gone:
            del self._live[key]
        return gone

    def settle(self, revision: int) -> None:
        """The watch has passed `revision`: what has become of any key up to it is known."""
        self._passed = revision
        if self._removed:
            self._removed = {key: known for key, known in self._removed.items() if known > revision}

    def clear(self) -> None:
        self._live.clear()
        self._removed.clear()
        self._passed = 0

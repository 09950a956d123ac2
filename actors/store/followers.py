"""Those who are told every record as soon as it is shown, each from where it left off; encoded once for all of them.

Told before the commit is acknowledged and in the order of revisions: a follower that hears of a revision by whatever
way over the same line has been pushed all up to it.
"""

from __future__ import annotations

from collections.abc import Callable

from actors.api.errors import Expired
from actors.store import wire
from actors.store.engine import Engine
from actors.store.matching import ALL_TOPIC

Push = Callable[[bytes], None]


class Followers:
    """Used within one event loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._told: dict[Push, int] = {}

    def check(self, since: int) -> None:
        """Raises Expired where not every record after `since` is there any more, or `since` is another log's."""
        log = self._engine.log
        if not log.horizon <= since <= log.revision:
            raise Expired(f"too old resource version: {since} ({log.horizon}): {log.oldest}")

    def enter(self, push: Push, since: int) -> None:
        """Everything after `since` from now on. Call `check` first."""
        self._told[push] = since
        self.tell()

    def leave(self, push: Push) -> None:
        self._told.pop(push, None)

    def tell(self) -> None:
        """Call after every change of the log, before anybody else hears of it."""
        log, blobs = self._engine.log, dict[int, bytes]()
        for push, since in list(self._told.items()):
            if since == log.revision:
                continue
            blob = blobs.get(since)
            if blob is None:
                blob = blobs[since] = wire.encode([change.record for change in log.changes_since(ALL_TOPIC, since)])
            self._told[push] = log.revision
            push(blob)

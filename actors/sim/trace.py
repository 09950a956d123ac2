"""What happened, line by line, with a digest: two runs of one seed must have the same.

The lines are for people; the digest also takes in every byte that became durable.
"""

from __future__ import annotations

import hashlib
from collections import deque

from actors.api.clock import Millis
from actors.api.key import Key
from actors.sim.story import summarize
from actors.sim.timeline import EPOCH_MS
from actors.store.record import Record

#: Heartbeats would drown the rest.
_UNTOLD = frozenset({"leases.coordination.k8s.io"})


class Trace:
    """Keeps the last `lines_max` lines (None: all); the digest is over everything."""

    def __init__(self, lines_max: int | None = 4000) -> None:
        self.lines: deque[str] = deque(maxlen=lines_max)
        self._hash = hashlib.blake2b(digest_size=8)
        self._told: dict[Key, str] = {}

    def add(self, now: Millis, who: str, what: str) -> None:
        line = f"{(now - EPOCH_MS) / 1000:9.3f}  {who:<12} {what}"
        self._hash.update(line.encode())
        self.lines.append(line)

    def record(self, now: Millis, record: Record) -> None:
        """One durable change."""
        self._hash.update(b"%d %d" % (record.revision, record.removed) + record.stored.body)
        key = record.stored.key
        if key.resource in _UNTOLD:
            return
        name = f"{key.namespace}/{key.name}" if key.namespace not in ("", "default") else key.name
        verb = "gone" if record.removed else summarize(record.stored)
        if key.resource == "nodes" and self._told.get(key) == verb:
            return
        self._told[key] = verb
        self.add(now, "store", f"#{record.revision} {key.resource.partition('.')[0]} {name}: {verb}")

    @property
    def digest(self) -> str:
        return self._hash.copy().hexdigest()

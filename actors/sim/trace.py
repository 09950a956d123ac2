"""What happened, line by line, with a digest: two runs of one seed must have the same."""

from __future__ import annotations

import hashlib
from collections import deque

from actors.api.clock import Millis
from actors.sim.timeline import EPOCH_MS


class Trace:
    """Keeps the last `lines_max` lines; the digest is over all of them."""

    def __init__(self, lines_max: int = 4000) -> None:
        self.lines: deque[str] = deque(maxlen=lines_max)
        self._hash = hashlib.blake2b(digest_size=8)

    def add(self, now: Millis, who: str, what: str) -> None:
        line = f"{(now - EPOCH_MS) / 1000:10.3f} {who:<14} {what}"
        self._hash.update(line.encode())
        self.lines.append(line)

    @property
    def digest(self) -> str:
        return self._hash.copy().hexdigest()

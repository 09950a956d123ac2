"""What keeps the log. Synchronous: the shell calls it from a thread, the simulator from its loop.

All implementations pass tests/conformance/store.
"""

from __future__ import annotations

from typing import Protocol

from actors.store.record import Batch, Compaction, Recovered


class BackendError(Exception):
    """The batch may or may not be durable: `load` again tells which."""


class Backend(Protocol):
    def load(self) -> Recovered:
        """All that is durable. A batch of which only a part was written is not."""
        ...

    def append(self, batch: Batch) -> None:
        """Durable, whole, when this returns. Fails with BackendError."""
        ...

    def compact(self, compaction: Compaction) -> None:
        """Forget history; at once or not at all. Fails with BackendError."""
        ...

    def rewrite(self, recovered: Recovered) -> None:
        """This in place of all that it holds, at once or not at all; nothing is left of what was there before. Fails
        with BackendError."""
        ...

    def close(self) -> None: ...

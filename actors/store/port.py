"""What the store promises. Implemented by `store.local.LocalStore` (in process: simulator, tests) and, over Ray,
by `cluster.handles.RayStore`; both pass tests/conformance/store.

A commit is acknowledged only when it is durable. Revisions only grow; no resourceVersion or uid is used twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from actors.api.key import Key, Stored
from actors.reconcile.actions import Reply, StoreWrite
from actors.reconcile.watch import Selection, WatchBatch


class Page(msgspec.Struct, frozen=True):
    """A consistent list at `revision`, sorted by key. `cursor` != "" continues it (at the same revision)."""

    items: tuple[Stored, ...]
    revision: int
    cursor: str = ""
    remaining: int = 0


class StorePort(Protocol):
    async def commit(self, writes: Sequence[StoreWrite], idempotency_key: str = "") -> list[Reply]:
        """Carry out the writes in order, each on its own (one that fails stops no other), in one durable commit.

        A second call with the same key (any text unique to the caller and the call) answers what the first did,
        also after a restart of the store; "" promises nothing of the kind.
        """
        ...

    async def get(self, key: Key, revision: int = 0) -> Stored:
        """The object now, or as it was at a retained revision. Raises NotFound, Expired."""
        ...

    async def list(self, selection: Selection, *, limit: int = 0, cursor: str = "", revision: int = 0) -> Page:
        """One page now, or at a retained revision. Raises Expired, BadRequest (cursor, selector)."""
        ...

    async def watch(self, selection: Selection, since: int, timeout_ms: int = 30_000) -> WatchBatch:
        """The changes after `since`; waits for the first one at most `timeout_ms`. Raises Expired: list again."""
        ...

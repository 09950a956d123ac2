"""What the store promises. Implemented by `store.local.LocalStore` (in process: simulator, tests) and, over Ray,
by `cluster.handles.RayStore`; both pass tests/conformance/store.

A commit is acknowledged only when it is durable. Revisions only grow; no resourceVersion or uid is used twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from actors.api.clock import Millis
from actors.api.key import Key, Stored
from actors.reconcile.actions import Reply, StoreWrite
from actors.reconcile.watch import EventType, Selection, WatchBatch


class Page(msgspec.Struct, frozen=True):
    """A consistent list at `revision`, sorted by key. `cursor` != "" continues it (at the same revision)."""

    items: tuple[Stored, ...]
    revision: int
    cursor: str = ""
    remaining: int = 0


class PastChange(msgspec.Struct, frozen=True, array_like=True):
    """One retained change. `previous`: the object before it, None when it came to be. `at`, `user` and `manager`: when,
    who, with which fieldManager. For DELETED `stored` is the last state, with the revision of the deletion."""

    type: EventType
    stored: Stored
    previous: Stored | None
    at: Millis
    user: str
    manager: str


class History(msgspec.Struct, frozen=True):
    """Every matching change in (since, revision], in order: go on from `revision` until it is `until`.

    `horizon`: the oldest revision that can be read, committed at `horizon_at`; 0 when the log is whole.
    """

    changes: tuple[PastChange, ...]
    revision: int
    until: int
    horizon: int
    horizon_at: Millis


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

    async def revision_at(self, at: Millis) -> int:
        """The last revision that was committed at or before `at`. Raises Expired when that is no longer retained."""
        ...

    async def history(self, selection: Selection, since: int = 0, until: int = 0) -> History:
        """The next retained changes after `since` (0: from the oldest) up to `until` (0: up to now), by key: selectors
        other than metadata.name and metadata.namespace are a BadRequest. Raises Expired, Timeout."""
        ...

    async def watch(self, selection: Selection, since: int, timeout_ms: int = 30_000) -> WatchBatch:
        """The changes after `since`; waits for the first one at most `timeout_ms`. Raises Expired: list again."""
        ...

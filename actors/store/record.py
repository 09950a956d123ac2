"""One change of one object: the unit of the log. Each record has a revision of its own; revisions only grow."""

from __future__ import annotations

import msgspec

from actors.api.clock import Millis
from actors.api.key import Stored
from actors.reconcile.actions import Reply


class Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`stored` is the object from `stored.revision` on; of a removed one its last state, at the removal's revision.

    `at`: when it was committed, by the store's clock. `user` and `manager`: who changed it, with which fieldManager.
    """

    stored: Stored
    removed: bool
    at: Millis
    user: str = ""
    manager: str = ""

    @property
    def revision(self) -> int:
        return self.stored.revision


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """What a commit with an idempotency key was told, kept for those who ask again. `revision`: of the log then."""

    key: str
    replies: tuple[Reply, ...]
    revision: int
    at: Millis


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """What becomes durable together: all of it or nothing."""

    records: tuple[Record, ...]
    answers: tuple[Answer, ...]


class Compaction(msgspec.Struct, frozen=True, array_like=True):
    """History that may go: the log is not readable below `horizon`, committed at `horizon_at`, any more. `revision` is
    never given again."""

    horizon: int
    horizon_at: Millis
    revision: int
    dropped_revisions: tuple[int, ...]
    dropped_answers: tuple[str, ...]


class Recovered(msgspec.Struct, frozen=True, array_like=True):
    """All that a backend holds: the newest state of each object at `horizon`, every record above it, in order."""

    records: tuple[Record, ...] = ()
    answers: tuple[Answer, ...] = ()
    horizon: int = 0
    horizon_at: Millis = 0
    revision: int = 0

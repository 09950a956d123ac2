"""Changes as values: what was selected, what happened, up to which revision."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from actors.api.key import Stored


class EventType(StrEnum):
    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


class WatchEvent(msgspec.Struct, frozen=True, array_like=True):
    """One change. For DELETED `stored` is the last state, with the revision of the deletion."""

    type: EventType
    stored: Stored


class Selection(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which objects. Empty means all. `labels` and `fields` are Kubernetes' selector texts.

    With selectors an object that begins to match is ADDED and one that ceases to match is DELETED.
    """

    resources: tuple[str, ...] = ()
    namespace: str = ""
    labels: str = ""
    fields: str = ""


class WatchBatch(msgspec.Struct, frozen=True):
    """Every matching change in (since, revision], in order; `events` may be empty. Go on from `revision`."""

    events: tuple[WatchEvent, ...]
    revision: int

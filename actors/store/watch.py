"""Changes as a watcher sees them. An object that begins to match is ADDED, one that ceases to match DELETED."""

from __future__ import annotations

import msgspec

from actors.api.errors import Expired
from actors.reconcile.watch import EventType, Selection, WatchBatch, WatchEvent
from actors.store.log import Change, Log
from actors.store.matching import Matcher, matcher_of

#: A call looks at no more changes than this, so that no watcher holds up the others.
_SCANNED_MAX = 5000


def derive_event(change: Change, matcher: Matcher) -> WatchEvent | None:
    """What this change is to a selection; None when it is nothing."""
    record, previous = change.record, change.previous
    before = previous is not None and matcher.matches(previous)
    after = not record.removed and matcher.matches(record.stored)
    if after:
        return WatchEvent(EventType.MODIFIED if before else EventType.ADDED, record.stored)
    if not before or previous is None:
        return None
    last = record.stored if record.removed else msgspec.structs.replace(previous, revision=record.revision)
    return WatchEvent(EventType.DELETED, last)


def changes(log: Log, selection: Selection, since: int) -> WatchBatch:
    """The next changes after `since`; its revision is the log's unless there are more than one call may tell.

    Raises Expired when `since` is below the horizon, or from another log's future; BadRequest (selector).
    """
    matcher = matcher_of(selection)
    if not log.horizon <= since <= log.revision:
        raise Expired(f"too old resource version: {since} ({log.horizon}): {log.oldest}")
    events: list[WatchEvent] = []
    for scanned, change in enumerate(log.changes_since(matcher.topic, since), 1):
        event = derive_event(change, matcher)
        if event is not None:
            events.append(event)
        if len(events) >= log.config.watch_events_max or scanned >= _SCANNED_MAX:
            return WatchBatch(tuple(events), change.revision)
    return WatchBatch(tuple(events), log.revision)

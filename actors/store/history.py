"""What the log still tells of the past: who changed which object when, and which field from what to what. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.api.codec import Object, decode
from actors.api.errors import BadRequest
from actors.api.key import Stored
from actors.api.schema import Field, definition_name
from actors.reconcile.watch import EventType, Selection
from actors.store.admission.fieldset import CONTAINER, Path, flatten, format_path
from actors.store.log import Change, Log
from actors.store.matching import matcher_of
from actors.store.port import History, PastChange

#: One call looks at no more changes, and tells no more bytes than about this many.
_SCANNED_MAX = 5000
_BYTES_MAX = 4 << 20
#: Set by the store itself when an object is to go, and worth telling.
_DELETION = "deletionTimestamp"


class FieldChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """One field, as `spec.containers[name="c"].image`; a side is left out where the field was not there."""

    field: str
    before: Any = msgspec.field(name="from", default=msgspec.UNSET)
    after: Any = msgspec.field(name="to", default=msgspec.UNSET)


def select_history(log: Log, selection: Selection, since: int, until: int) -> History:
    """Raises Expired (`since` is below the horizon), Timeout (`until` has not come yet), BadRequest (selectors)."""
    matcher = matcher_of(selection)
    if not matcher.is_by_key:
        raise BadRequest("history is selected by resource, namespace and name only")
    until, since = until or log.revision, since or log.horizon
    log.check_retained(since)
    log.check_retained(until)
    changes: list[PastChange] = []
    bytes_left = _BYTES_MAX
    for scanned, change in enumerate(log.changes_since(matcher.topic, since), 1):
        if change.revision > until:
            break
        if matcher.matches_key(change.record.stored.key):
            changes.append(_told(change))
            bytes_left -= len(change.record.stored.body) + (len(change.previous.body) if change.previous else 0)
        if scanned >= _SCANNED_MAX or bytes_left <= 0:
            return History(tuple(changes), change.revision, until, log.horizon, log.horizon_at)
    return History(tuple(changes), until, until, log.horizon, log.horizon_at)


def _told(change: Change) -> PastChange:
    record, previous = change.record, change.previous
    kind = EventType.DELETED if record.removed else EventType.MODIFIED if previous else EventType.ADDED
    return PastChange(kind, record.stored, previous, record.at, record.user, record.manager)


def derive_fields(previous: Stored, stored: Stored) -> list[FieldChange]:
    """Which fields differ, in the order of their paths; items of keyed lists are told apart by their keys."""
    before, after = _fields(decode(previous)), _fields(decode(stored))
    paths = sorted(path for path in before.keys() | after.keys() if not _same(before, after, path))
    return [
        FieldChange(format_path(path).lstrip("."), before.get(path, msgspec.UNSET), after.get(path, msgspec.UNSET))
        for path in paths
        if CONTAINER not in (before.get(path), after.get(path))
    ]


def _fields(obj: Object) -> dict[Path, Any]:
    fields = flatten(obj, Field(definition_name(obj["apiVersion"], obj["kind"])))
    if _DELETION in obj["metadata"]:
        fields["f:metadata", f"f:{_DELETION}"] = obj["metadata"][_DELETION]
    return fields


def _same(before: dict[Path, Any], after: dict[Path, Any], path: Path) -> bool:
    """1 and True are not."""
    if (path in before) != (path in after):
        return False
    one, other = before[path], after[path]
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)

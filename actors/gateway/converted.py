"""Field selectors of a version that a webhook makes: what is stored in another version need not have its fields.

The store then selects by name, namespace and labels, which conversion leaves alone; what it finds is converted before
the rest is asked of it (kube-apiserver selects on objects in the version of the request). A watch of such a selection
has to know which objects were in it: it begins with a list at its first revision.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace

from actors.api.crd.kinds import CustomKind
from actors.api.field_selector import format_fields, is_of_key, parse_fields
from actors.api.key import Key, Stored
from actors.api.kinds import Kind
from actors.reconcile.watch import EventType, Selection, WatchEvent
from actors.remote.conversion import by_webhook
from actors.store.matching import Matcher, matcher_of


def split_fields(kind: Kind, fields: str) -> tuple[str, str]:
    """Of a field selector: what the store can answer, and what only the converted objects can."""
    if not fields or not isinstance(kind, CustomKind) or not by_webhook(kind):
        return fields, ""
    asked = parse_fields(fields)
    known = [one for one in asked if is_of_key(one)]
    return format_fields(known), format_fields(one for one in asked if one not in known)


def rest_of(kind: Kind, fields: str) -> Matcher | None:
    """What is to be asked of converted objects; None where the store's answer is all."""
    rest = split_fields(kind, fields)[1]
    return matcher_of(Selection((kind.storage.resource,), fields=rest)) if rest else None


class Tracked:
    """The objects of one watch that are in its selection."""

    def __init__(self, rest: Matcher, present: Iterable[Stored]) -> None:
        """`present`: converted, as they were where the watch begins."""
        self._rest = rest
        self._inside: dict[Key, Stored] = {stored.key: stored for stored in present if rest.matches(stored)}

    def told(self, events: Sequence[WatchEvent], shown: Sequence[Stored]) -> Iterator[tuple[EventType, Stored]]:
        """What the client is to see of changes; `shown` are their objects, converted."""
        for event, stored in zip(events, shown, strict=True):
            before = self._inside.pop(stored.key, None)
            if event.type is not EventType.DELETED and self._rest.matches(stored):
                self._inside[stored.key] = stored
                yield (EventType.MODIFIED if before else EventType.ADDED), stored
            elif before is not None:
                is_gone = event.type is EventType.DELETED
                yield EventType.DELETED, stored if is_gone else replace(before, revision=stored.revision)

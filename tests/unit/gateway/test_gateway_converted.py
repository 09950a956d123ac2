"""Selections that only converted objects can answer: how a selector is split, and what a watch of one tells."""

from __future__ import annotations

import pytest

from actors.api.codec import encode
from actors.api.field_selector import format_fields, parse_fields
from actors.api.key import Key, Stored
from actors.gateway.converted import Tracked
from actors.reconcile.watch import EventType, Selection, WatchEvent
from actors.store.matching import matcher_of

_THINGS = "things.example.com"


@pytest.mark.parametrize("text", ["a=b", "a!=b,c.d=", r"a=b\,c\=d\\e,metadata.name=x"])
def test_a_selector_is_written_as_it_is_read(text: str) -> None:
    assert parse_fields(format_fields(parse_fields(text))) == parse_fields(text)


def _thing(name: str, host: str, revision: int) -> Stored:
    body = encode({"metadata": {"name": name}, "host": host})
    return Stored(Key(_THINGS, "default", name), revision, 1, f"uid-{name}", body)


def test_what_begins_and_ceases_to_match_is_told() -> None:
    rest = matcher_of(Selection((_THINGS,), fields="host=one"))
    tracked = Tracked(rest, [_thing("a", "one", 1), _thing("b", "two", 2)])

    def told(kind: EventType, thing: Stored) -> list[tuple[str, str, int]]:
        found = tracked.told([WatchEvent(kind, thing)], [thing])
        return [(str(event), stored.key.name, stored.revision) for event, stored in found]

    assert told(EventType.MODIFIED, _thing("a", "one", 3)) == [("MODIFIED", "a", 3)]
    assert told(EventType.MODIFIED, _thing("b", "three", 4)) == []
    assert told(EventType.MODIFIED, _thing("b", "one", 5)) == [("ADDED", "b", 5)]
    assert told(EventType.MODIFIED, _thing("a", "two", 6)) == [("DELETED", "a", 6)]
    assert told(EventType.DELETED, _thing("a", "two", 7)) == [], "it has left before"
    assert told(EventType.DELETED, _thing("b", "one", 8)) == [("DELETED", "b", 8)]
    assert told(EventType.ADDED, _thing("c", "one", 9)) == [("ADDED", "c", 9)]


def test_what_leaves_is_told_as_it_was() -> None:
    rest = matcher_of(Selection((_THINGS,), fields="host=one"))
    tracked = Tracked(rest, [_thing("a", "one", 1)])
    left = _thing("a", "two", 2)
    ((_, stored),) = tracked.told([WatchEvent(EventType.MODIFIED, left)], [left])
    assert b'"one"' in stored.body and stored.revision == 2

"""A watcher believes a stream only as long as it keeps its promises."""

from __future__ import annotations

import pytest

from actors.api.codec import encode
from actors.api.key import Key, Stored
from actors.reconcile.watch import EventType, Selection, WatchBatch, WatchEvent
from actors.sim.laws.law import Breach
from actors.sim.watcher import Watcher

KEY = Key("pods", "default", "a")


def event(type_: EventType, revision: int) -> WatchBatch:
    stored = Stored(KEY, revision, 1, "u", encode({"metadata": {"name": "a"}}))
    return WatchBatch((WatchEvent(type_, stored),), revision)


def watcher() -> Watcher:
    made = Watcher("w", Selection())
    made.relist((), 5, 0)
    return made


def test_it_follows_an_object_from_its_first_to_its_last_day() -> None:
    seen = watcher()
    for type_, revision in ((EventType.ADDED, 6), (EventType.MODIFIED, 7)):
        seen.observe(event(type_, revision), 0)
    assert seen.known[KEY].revision == 7
    seen.observe(event(EventType.DELETED, 9), 0)
    assert not seen.known


@pytest.mark.parametrize("type_", [EventType.MODIFIED, EventType.DELETED])
def test_what_it_never_saw_cannot_change(type_: EventType) -> None:
    with pytest.raises(Breach, match="was not there"):
        watcher().observe(event(type_, 6), 0)


def test_what_is_there_is_not_added() -> None:
    seen = watcher()
    seen.observe(event(EventType.ADDED, 6), 0)
    with pytest.raises(Breach, match="was there"):
        seen.observe(event(EventType.ADDED, 7), 0)


def test_news_are_newer_than_the_list() -> None:
    with pytest.raises(Breach, match="after 5"):
        watcher().observe(event(EventType.ADDED, 5), 0)

"""Which states of objects are news, in whatever order replies, watches and lists bring them."""

from __future__ import annotations

from actors.api.key import Key, Stored
from actors.reconcile.revisions import Revisions

KEY = Key("pods", "default", "p")


def at(revision: int) -> Stored:
    return Stored(KEY, revision, 5, "u", b"{}")


def test_a_late_reply_brings_nothing_back_that_the_watch_has_seen_go() -> None:
    """A webhook was asked about a Delete; its answer, the pod that ends, comes when the pod is gone."""
    known = Revisions()
    assert known.accepts(at(10))
    assert known.accepts_removal(at(12))
    known.settle(12)
    assert not known.accepts(at(11))
    assert known.accepts(at(13)), "a namesake made since"


def test_nor_anything_that_came_and_went_unseen() -> None:
    known = Revisions()
    known.settle(12)
    assert not known.accepts(at(12))
    assert known.accepts(at(13))


def test_a_list_shows_what_is_older_than_the_watch_has_passed() -> None:
    known = Revisions()
    known.settle(12)
    assert known.vanished([KEY], 20) == []
    assert known.accepts(at(7)), "it lived all the time, and nobody had told"
    known.settle(20)
    assert known.accepts(at(21)) and not known.accepts(at(21))


def test_a_list_that_is_older_than_a_reply() -> None:
    known = Revisions()
    assert known.accepts(at(30))
    assert known.vanished([], 20) == [], "the list cannot know of it"
    known.settle(20)
    assert not known.accepts(at(29))
    assert known.accepts_removal(at(31))
    known.settle(25)
    assert not known.accepts(at(30)), "the watch is on its way to the removal"

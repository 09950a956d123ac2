"""Due times of pods, by a clock that may be set back."""

from __future__ import annotations

from actors.nodelet.agenda import NEVER_MS, Agenda


def test_pods_are_due_in_the_order_in_which_they_came() -> None:
    agenda = Agenda()
    agenda.at("b", 5)
    agenda.at("a", 3)
    agenda.no_later("b", 4)
    assert (agenda.first_ms(), agenda.due(2), agenda.due(4)) == (3, [], ["b", "a"])


def test_a_clock_that_is_set_back_makes_all_due_but_what_never_is() -> None:
    agenda = Agenda()
    agenda.at("late", 9_000)
    agenda.at("never", NEVER_MS)
    assert agenda.due(8_000) == []
    assert agenda.due(1_000) == ["late"]

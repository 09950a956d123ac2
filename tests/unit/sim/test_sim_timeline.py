"""Virtual time and clocks that are wrong."""

from __future__ import annotations

import pytest

from actors.sim.timeline import Clock, Timeline


def test_steps_come_in_order_of_time_and_then_of_asking() -> None:
    timeline, seen = Timeline(0), list[str]()
    timeline.after(20, lambda: seen.append("late"))
    timeline.after(10, lambda: seen.append("first"))
    timeline.after(10, lambda: seen.append("second"))
    timeline.run_until(15)
    assert (seen, timeline.now) == (["first", "second"], 15)
    timeline.run_until(30)
    assert seen == ["first", "second", "late"]


def test_who_answers_itself_at_once_is_found_out() -> None:
    timeline = Timeline(0)

    def again() -> None:
        timeline.after(0, again)

    again()
    with pytest.raises(RuntimeError, match="never content"):
        timeline.run_until(1, steps_max=100)


def test_a_clock_is_skewed_and_jumps_and_says_so() -> None:
    timeline = Timeline(1_000)
    clock = Clock(timeline, 50)
    timeline.run_until(2_000)
    assert (clock.now(), clock.has_jumped) == (2_050, False)
    clock.jump(-1_000)
    assert (clock.now(), clock.has_jumped) == (1_050, True)

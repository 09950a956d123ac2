"""When a container that has ended runs again."""

from __future__ import annotations

from actors.nodelet.attempts import Attempt, AttemptState
from actors.nodelet.lifecycle import Backoff, next_backoff_ms, restart_at

BACKOFF = Backoff(initial_ms=10_000, limit_ms=300_000, reset_ms=600_000)
NOW = 1_800_000_000_000


def ended(started_ms: int, finished_ms: int, backoff_ms: int = 10_000) -> Attempt:
    return Attempt(
        number=1,
        state=AttemptState.EXITED,
        container_id="c",
        exit_code=127,
        started_ms=started_ms,
        finished_ms=finished_ms,
        backoff_ms=backoff_ms,
    )


def test_a_container_that_ended_early_waits_ever_longer() -> None:
    crashed = ended(NOW - 100, NOW)
    assert restart_at(crashed, BACKOFF) == NOW + 10_000
    assert next_backoff_ms(crashed, BACKOFF) == 20_000


def test_a_long_run_is_forgiven() -> None:
    crashed = ended(NOW - 600_000, NOW, 160_000)
    assert restart_at(crashed, BACKOFF) == NOW
    assert next_backoff_ms(crashed, BACKOFF) == 10_000


def test_one_that_could_not_be_started_has_not_run_long() -> None:
    never_ran = ended(0, NOW)
    assert restart_at(never_ran, BACKOFF) == NOW + 10_000
    assert next_backoff_ms(never_ran, BACKOFF) == 20_000

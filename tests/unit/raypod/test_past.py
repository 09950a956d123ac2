"""Times as people write them, and what a line of history says."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest

from raypod.cli.past import format_item
from raypod.past import format_bound, format_when, point_in_time

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2026-11-23T10:00:00Z", "2026-11-23T10:00:00.000Z"),
        ("2026-11-23T10:00:00.1234Z", "2026-11-23T10:00:00.123Z"),
        ("2026-11-23T10:00+02:00", "2026-11-23T08:00:00.000Z"),
        (" 10m ", "2026-11-23T11:50:00.000Z"),
        ("90s", "2026-11-23T11:58:30.000Z"),
        ("2h", "2026-11-23T10:00:00.000Z"),
        ("1d", "2026-11-22T12:00:00.000Z"),
    ],
)
def test_a_time(text: str, told: str) -> None:
    assert format_when(text, NOW) == told


def test_a_time_without_a_zone_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC-3")
    time.tzset()
    try:
        assert format_when("2026-11-23T10:00", NOW) == "2026-11-23T07:00:00.000Z"
    finally:
        monkeypatch.undo()
        time.tzset()
    aware = datetime(2026, 11, 23, 10, tzinfo=timezone(timedelta(hours=2)))
    assert format_when(aware, NOW) == "2026-11-23T08:00:00.000Z"


@pytest.mark.parametrize("text", ["", "noon", "10", "10w", "999999d", "2026-13-01", "-5m"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time: write 2026-11-23T10:00, or 10m"):
        format_when(text, NOW)


def test_a_point_in_time() -> None:
    assert point_in_time(None, 0) == {}
    assert point_in_time(None, 7) == {"resourceVersion": 7, "resourceVersionMatch": "Exact"}
    assert set(point_in_time("10m", 0)) == {"at"}
    with pytest.raises(ValueError, match="name one"):
        point_in_time("10m", 7)
    with pytest.raises(ValueError, match="positive"):
        point_in_time(None, -1)


def test_a_bound_is_a_revision_or_a_time() -> None:
    assert (format_bound(None), format_bound(5), format_bound("5")) == (None, 5, "5")
    assert str(format_bound("2026-11-23T10:00:00Z")).startswith("2026-11-23T10:00:00")


def test_lines_of_history() -> None:
    head = {"revision": "7", "time": "2026-11-23T10:00:00.123000Z", "uid": "u", "user": "ada", "manager": "kubectl"}
    changes = [
        {"field": "spec.replicas", "from": 1, "to": 2},
        {"field": "metadata.labels.a", "to": "x" * 100},
        {"field": "metadata.labels.b", "from": "y"},
    ]
    lines = format_item({**head, "type": "MODIFIED", "changes": changes})
    assert lines[0] == ("7", "2026-11-23T10:00:00.123Z", "ada via kubectl", "spec.replicas: 1 -> 2")
    assert lines[1][:3] == ("", "", "") and lines[1][3] == f'metadata.labels.a: set to "{"x" * 59}...'
    assert lines[2][3] == 'metadata.labels.b: removed, was "y"'
    assert format_item({**head, "manager": "", "type": "DELETED"}) == [(*lines[0][:2], "ada", "deleted, uid u")]
    assert format_item({**head, "type": "MODIFIED"})[0][3] == "no field of its own"

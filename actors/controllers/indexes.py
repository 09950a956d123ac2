"""Completion indexes of an Indexed Job as text, the way `status.completedIndexes` has them: `0,2-4`."""

from __future__ import annotations

from collections.abc import Iterable


def format_indexes(indexes: Iterable[int]) -> str:
    """Runs of three or more, and of two, are written as first-last."""
    runs: list[list[int]] = []
    for index in sorted(indexes):
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def parse_indexes(text: str, completions: int) -> frozenset[int]:
    """What `format_indexes` wrote, within [0, completions). Unreadable parts are left out: their pods run again."""
    indexes: set[int] = set()
    for part in text.split(",") if text else ():
        first, _, last = part.partition("-")
        if first.isdigit() and (last or first).isdigit():
            indexes.update(range(int(first), min(int(last or first) + 1, completions)))
    return frozenset(indexes)

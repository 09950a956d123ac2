"""Completion indexes of an Indexed Job as text, the way `status.completedIndexes` has them: `0,2-4`."""

from __future__ import annotations

from collections.abc import Iterable


def format_indexes(indexes: Iterable[int]) -> str:
    """Runs of three or more are written as first-last, as Kubernetes does: 0,1,3-5."""
    runs: list[list[int]] = []
    for index in sorted(indexes):
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(_text(first, last) for first, last in runs)


def _text(first: int, last: int) -> str:
    return str(first) if first == last else f"{first},{last}" if last == first + 1 else f"{first}-{last}"


def parse_indexes(text: str, completions: int) -> frozenset[int]:
    """What `format_indexes` wrote, within [0, completions). Unreadable parts are left out: their pods run again."""
    indexes: set[int] = set()
    for part in text.split(",") if text else ():
        first, _, last = part.partition("-")
        if first.isdigit() and (last or first).isdigit():
            indexes.update(range(int(first), min(int(last or first) + 1, completions)))
    return frozenset(indexes)

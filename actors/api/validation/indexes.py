"""`1,3-5`: indexes of an Indexed Job, in order (pkg/apis/batch/validation validateIndexesFormat)."""

from __future__ import annotations

from collections.abc import Iterator

Span = tuple[int, int]


def count_indexes(text: str, total: int) -> int:
    """How many indexes below `total` are named. Raises ValueError in Kubernetes' words."""
    found, last = 0, -1
    for low, high in _spans(text, total):
        if low <= last:
            raise ValueError(f"non-increasing order, previous: {last}, current: {low}")
        found, last = found + high - low + 1, high
    return found


def spans_of(text: str, total: int) -> list[Span]:
    """Those that can be read."""
    found = []
    for part in text.split(",") if text else ():
        try:
            found.append(_span(part, total))
        except ValueError:
            continue
    return found


def _spans(text: str, total: int) -> Iterator[Span]:
    return (_span(part, total) for part in text.split(",")) if text else iter(())


def _span(text: str, total: int) -> Span:
    """Both ends inclusive."""
    parts = text.split("-")
    if len(parts) > 2:
        raise ValueError(
            f'the fragment "{text}" violates the requirement that an index interval can have at most two parts '
            "separated by '-'"
        )
    low = _index(parts[0], total)
    high = _index(parts[-1], total)
    if len(parts) == 2 and low >= high:
        raise ValueError(f"non-increasing order, previous: {low}, current: {high}")
    return low, high


def _index(text: str, total: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise ValueError(f'cannot convert string to integer for index: "{text[:50]}"')
    if int(text) >= total:
        raise ValueError(f'too large index: "{text}"')
    return int(text)

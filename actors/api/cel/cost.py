"""What an expression can cost at most, from its text and the size of its data: refused before it is evaluated.

The runtime bounds iterations (10,000) and nesting (32), but neither the texts that an iteration builds nor those it
searches. The estimate is the longest text, grown by every `+` through every binding, once for each iteration.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, NamedTuple

#: Characters; about a second of work.
COST_MAX = 200_000_000
_ITERATIONS_MAX = 10_000
_LOOPS = re.compile(
    r"\.\s*(?:all|exists|exists_one|existsOne|map|filter|transformList|transformMap|transformMapEntry|optMap|optFlatMap)\s*\("
)
_SEARCHES = re.compile(r"\.\s*(?:contains|indexOf|lastIndexOf|replace|split)\s*\(")


class _Shape(NamedTuple):
    loops: int
    binds: int
    pluses: int
    searches: bool
    items: int


@lru_cache(maxsize=4096)
def _shape_of(expression: str) -> _Shape:
    return _Shape(
        loops=len(_LOOPS.findall(expression)),
        binds=expression.count("bind"),
        pluses=expression.count("+") + expression.count("format(") + expression.count("join("),
        searches=_SEARCHES.search(expression) is not None,
        items=expression.count(","),
    )


class Size(NamedTuple):
    """Of the data: its longest text in characters, and how many values it holds."""

    longest: int = 0
    values: int = 0


def size_of(data: Any) -> Size:
    longest = values = 0
    pending = [data]
    while pending:
        value = pending.pop()
        values += 1
        if isinstance(value, str | bytes):
            longest = max(longest, len(value))
        elif isinstance(value, dict):
            pending.extend(value.values())
            longest = max(longest, max((len(name) for name in value), default=0))
        elif isinstance(value, list):
            pending.extend(value)
    return Size(longest, values)


def estimate(expression: str, data: Size) -> int:
    """Characters touched, at most."""
    shape = _shape_of(expression)
    longest = max(data.longest, min(len(expression), 1000))
    touched = longest * (1 + shape.pluses) ** min(1 + shape.binds, 10)
    if shape.searches:
        touched = max(touched, longest * longest // 100)
    iterations = min(_ITERATIONS_MAX, (data.values + shape.items) ** shape.loops) if shape.loops else 1
    return int(touched * iterations)

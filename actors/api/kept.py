"""Answers that are kept for texts that come again and again: short ones. What a client may make as long as it likes is
worked out each time, for a few thousand texts of a megabyte would be all the memory there is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar, TypeVarTuple, cast

KEPT_CHARS_MAX = 256
Rest = TypeVarTuple("Rest")
T = TypeVar("T")


def kept_for_short(count_max: int) -> Callable[[Callable[[str, *Rest], T]], Callable[[str, *Rest], T]]:
    """Of a pure function of a text: keeps `count_max` answers."""

    def decorate(function: Callable[[str, *Rest], T]) -> Callable[[str, *Rest], T]:
        kept = cast(Callable[[str, *Rest], T], lru_cache(maxsize=count_max)(function))

        def ask(text: str, /, *rest: *Rest) -> T:
            return kept(text, *rest) if len(text) <= KEPT_CHARS_MAX else function(text, *rest)

        return ask

    return decorate

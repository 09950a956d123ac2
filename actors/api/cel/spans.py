"""A size or a cost as a pair: least and most. MOST stands for any amount. As checker/cost.go of cel-go counts."""

from __future__ import annotations

import math
from typing import NamedTuple

from actors.api.cel.values import UINT_MAX

MOST = UINT_MAX


class Span(NamedTuple):
    """Least and most."""

    least: int
    most: int

    def plus(self, other: Span) -> Span:
        return Span(min(self.least + other.least, MOST), min(self.most + other.most, MOST))

    def times(self, other: Span) -> Span:
        return Span(min(self.least * other.least, MOST), min(self.most * other.most, MOST))

    def scaled(self, factor: float) -> Span:
        return Span(_scaled(self.least, factor), _scaled(self.most, factor))

    def union(self, other: Span) -> Span:
        return Span(min(self.least, other.least), max(self.most, other.most))


def _scaled(amount: int, factor: float) -> int:
    return MOST if amount >= MOST else min(math.ceil(amount * factor), MOST)


NOTHING, ONE, UNKNOWN = Span(0, 0), Span(1, 1), Span(0, MOST)

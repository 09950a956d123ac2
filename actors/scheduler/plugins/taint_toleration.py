"""TaintToleration: NoSchedule and NoExecute taints must be tolerated; fewer PreferNoSchedule ones are better."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from actors.api.node import Taint
from actors.api.pod import Toleration
from actors.api.toleration import is_tolerated
from actors.scheduler.framework import Change, Plugin, Rejection, normalized
from actors.scheduler.nodes import Floats, Ints, Nodes
from actors.scheduler.shape import Shape

_HARD = ("NoSchedule", "NoExecute")


class TaintToleration(Plugin, frozen=True):
    weight: int = 3
    wakes_on: ClassVar[Change] = Change.NODE_ADDED | Change.NODE_TAINT

    def filter(self, shape: Shape, nodes: Nodes) -> list[Rejection]:
        offending = [_first_untolerated(taints, shape.tolerations) for taints in nodes.taint_sets]
        words = sorted({_words(taint) for taint in offending if taint})
        return [
            Rejection(text, np.array([t is not None and _words(t) == text for t in offending])[nodes.taint_set])
            for text in words
        ]

    def score(self, shape: Shape, nodes: Nodes, rows: Ints) -> Floats:
        unwelcome = [
            sum(t.effect == "PreferNoSchedule" and not is_tolerated(t, shape.tolerations) for t in taints)
            for taints in nodes.taint_sets
        ]
        return normalized(np.array(unwelcome, np.float64)[nodes.taint_set[rows]], reverse=True)


def _first_untolerated(taints: tuple[Taint, ...], tolerations: tuple[Toleration, ...]) -> Taint | None:
    return next((t for t in taints if t.effect in _HARD and not is_tolerated(t, tolerations)), None)


def _words(taint: Taint) -> str:
    return f"node(s) had untolerated taint {{{taint.key}: {taint.value}}}"

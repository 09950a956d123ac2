"""What a scheduler plugin may do, in kube-scheduler's words, each over all nodes at once.

PreEnqueue  is the pod ready to be tried at all?
Filter      which nodes cannot take the pod, and why
Score       which of the others are better: 0..100, times the plugin's weight
A plugin is a frozen struct: its fields are its configuration. It keeps no state; `nodes` holds all that changes.
"""

from __future__ import annotations

from enum import Flag, auto
from typing import ClassVar, NamedTuple

import msgspec
import numpy as np

from actors.scheduler.nodes import Bools, Floats, Ints, Nodes
from actors.scheduler.shape import Shape

SCORE_MAX = 100.0


class Change(Flag):
    """What may happen that lets a rejected pod through (kube-scheduler's cluster events)."""

    NODE_ADDED = auto()  # a node that was not there
    NODE_FREED = auto()  # a pod left a node, or the node offers more
    NODE_TAINT = auto()  # taints or `unschedulable`
    NODE_LABEL = auto()


class Rejection(NamedTuple):
    """`nodes` (by row) that a plugin refuses, with the words that go behind their count."""

    reason: str
    nodes: Bools


class Plugin(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="plugin", tag=True, kw_only=True):
    """All points are optional."""

    weight: int = 1
    #: Which changes are worth another try for a pod that this plugin rejected.
    wakes_on: ClassVar[Change] = Change.NODE_ADDED

    def pre_enqueue(self, shape: Shape) -> str:
        """Why the pod must not be tried yet; "" when it may."""
        return ""

    def filter(self, shape: Shape, nodes: Nodes) -> list[Rejection]:
        """The nodes that cannot take a pod of this shape. A node may be refused for several reasons."""
        return []

    def room(self, shape: Shape, nodes: Nodes, rows: Ints) -> Ints | None:
        """How many such pods fit on each of `rows`; None when this plugin sets no bound."""
        return None

    def score(self, shape: Shape, nodes: Nodes, rows: Ints) -> Floats | None:
        """Per row, what placing such pods does not change. `rows` are all feasible nodes: normalise over them."""
        return None

    def score_after(self, shape: Shape, nodes: Nodes, rows: Ints, counts: Ints) -> Floats | None:
        """(rows x counts): the score of a node once `counts` pods of this shape have been placed there."""
        return None


def normalized(raw: Floats, *, reverse: bool = False) -> Floats:
    """Scaled so that the largest is 100 (or, reversed, 0). All zero stays zero, or becomes 100 reversed."""
    most = raw.max(initial=0.0)
    scaled: Floats = raw * (SCORE_MAX / most) if most > 0 else np.zeros_like(raw)
    return SCORE_MAX - scaled if reverse else scaled

"""DevicePacking: against fragmentation. Pods with GPUs go where fewest stay free; pods without keep off GPU nodes."""

from __future__ import annotations

import numpy as np

from actors.api.pod import GPU
from actors.scheduler.framework import SCORE_MAX, Plugin
from actors.scheduler.nodes import Floats, Ints, Nodes
from actors.scheduler.shape import Shape


class DevicePacking(Plugin, frozen=True):
    weight: int = 5
    resource: str = GPU

    def score(self, shape: Shape, nodes: Nodes, rows: Ints) -> Floats | None:
        column = nodes.columns.get(self.resource)
        if column is None or shape.requests.get(self.resource):
            return None
        return np.where(nodes.allocatable[rows, column] > 0, 0.0, SCORE_MAX)

    def score_after(self, shape: Shape, nodes: Nodes, rows: Ints, counts: Ints) -> Floats | None:
        """100 for a node that the pod fills exactly, 50 when one device stays free, 33 for two, ..."""
        asked, column = shape.requests.get(self.resource), nodes.columns.get(self.resource)
        if not asked or column is None:
            return None
        free: Ints = np.minimum(
            nodes.allocatable[rows, column] - nodes.requested[rows, column], nodes.devices_free[rows, column]
        )
        left = np.maximum(free[:, None] - asked * counts[None, :], 0)
        score: Floats = SCORE_MAX / (1 + left)
        return score

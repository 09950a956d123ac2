"""NodeResourcesLeastAllocated spreads load, NodeResourcesMostAllocated packs it: the mean fraction over `resources`.

kube-scheduler's scoring strategies of NodeResourcesFit. A resource that a node does not offer does not count there.
The count of pods is among the resources, so that pods without requests spread as well.
"""

from __future__ import annotations

import msgspec
import numpy as np

from actors.scheduler.framework import SCORE_MAX, Plugin
from actors.scheduler.nodes import Floats, Ints, Nodes
from actors.scheduler.shape import CPU, MEMORY, PODS, Shape

_RESOURCES = {CPU: 1, MEMORY: 1, PODS: 1}


class NodeResourcesLeastAllocated(Plugin, frozen=True):
    resources: dict[str, int] = msgspec.field(default_factory=lambda: dict(_RESOURCES))

    def score_after(self, shape: Shape, nodes: Nodes, rows: Ints, counts: Ints) -> Floats:
        used, weights = used_fraction(self.resources, shape, nodes, rows, counts)
        return np.where(weights > 0, SCORE_MAX * (1 - used), 0.0)


class NodeResourcesMostAllocated(Plugin, frozen=True):
    resources: dict[str, int] = msgspec.field(default_factory=lambda: dict(_RESOURCES))

    def score_after(self, shape: Shape, nodes: Nodes, rows: Ints, counts: Ints) -> Floats:
        return SCORE_MAX * used_fraction(self.resources, shape, nodes, rows, counts)[0]


def used_fraction(
    resources: dict[str, int], shape: Shape, nodes: Nodes, rows: Ints, counts: Ints
) -> tuple[Floats, Floats]:
    """(rows x counts) weighted mean of requested / allocatable, and (rows x 1) the sum of the weights that counted."""
    total = np.zeros((len(rows), len(counts)))
    weights = np.zeros((len(rows), 1))
    asked = nodes.vector(shape)
    for name, weight in resources.items():
        column = nodes.columns.get(name)
        if column is None:
            continue
        offered = nodes.allocatable[rows, column][:, None]
        after = nodes.requested[rows, column][:, None] + asked[column] * counts[None, :]
        total += weight * np.where(offered > 0, np.minimum(after / np.maximum(offered, 1), 1.0), 0.0)
        weights += weight * (offered > 0)
    return total / np.maximum(weights, 1), weights

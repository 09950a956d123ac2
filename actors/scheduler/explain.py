"""Why a pod found no node, in kube-scheduler's form, with what was asked and the most that one node has free."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from actors.scheduler.framework import Plugin
from actors.scheduler.nodes import Nodes
from actors.scheduler.shape import Shape


def count_reasons(shape: Shape, nodes: Nodes, plugins: Iterable[Plugin]) -> tuple[dict[str, int], list[Plugin]]:
    """How many nodes were refused for which reason, and the plugins that refused some.

    A node counts for the first plugin that refuses it, with all the reasons which that plugin has.
    """
    left = nodes.valid.copy()
    counts: dict[str, int] = {}
    refusing: list[Plugin] = []
    for plugin in plugins:
        refused = np.zeros_like(left)
        for reason, rows in plugin.filter(shape, nodes):
            hit = rows & left
            if hit.any():
                counts[reason] = counts.get(reason, 0) + int(hit.sum())
                refused |= hit
        if refused.any():
            refusing.append(plugin)
            left &= ~refused
    return counts, refusing


def format_reasons(counts: dict[str, int], total: int) -> str:
    """`0/3 nodes are available: 1 Insufficient cpu (asked 4, ...), 2 node(s) had untolerated taint {...}.`"""
    if total == 0:
        return "no nodes available to schedule pods"
    rows: Sequence[str] = sorted(f"{count} {reason}" for reason, count in counts.items())
    return f"0/{total} nodes are available: {', '.join(rows)}."

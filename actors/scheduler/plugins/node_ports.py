"""NodePorts: a host port goes to one pod per node, protocol and address (0.0.0.0 clashes with every address)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from actors.scheduler.framework import Change, Plugin, Rejection
from actors.scheduler.nodes import Ints, Nodes
from actors.scheduler.shape import Shape


class NodePorts(Plugin, frozen=True):
    wakes_on: ClassVar[Change] = Change.NODE_ADDED | Change.NODE_FREED

    def filter(self, shape: Shape, nodes: Nodes) -> list[Rejection]:
        if not shape.host_ports:
            return []
        taken = np.zeros_like(nodes.valid)
        for port in shape.host_ports:
            taken |= nodes.has_port_conflict(port)
        return [Rejection("node(s) didn't have free ports for the requested pod ports", taken)]

    def room(self, shape: Shape, nodes: Nodes, rows: Ints) -> Ints | None:
        return np.ones(len(rows), np.int64) if shape.host_ports else None

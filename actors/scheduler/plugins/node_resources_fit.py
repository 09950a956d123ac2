"""NodeResourcesFit: a node must have left what the pod asks for, of every resource. Devices count when healthy."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from actors.api.quantity import format_bytes, format_millis
from actors.scheduler.framework import Change, Plugin, Rejection
from actors.scheduler.nodes import Ints, Nodes
from actors.scheduler.shape import CPU, EPHEMERAL, MEMORY, PODS, Shape


class NodeResourcesFit(Plugin, frozen=True):
    wakes_on: ClassVar[Change] = Change.NODE_ADDED | Change.NODE_FREED

    def filter(self, shape: Shape, nodes: Nodes) -> list[Rejection]:
        rejections = [_unknown(name, _told(shape, name), nodes) for name in nodes.unknown(shape)]
        free = nodes.free()
        for name, column in nodes.columns.items():
            asked = shape.requests.get(name, 0)
            if asked:
                lacking = free[:, column] < asked
                if (lacking & nodes.valid).any():
                    most = int(free[nodes.valid, column].max(initial=0))
                    rejections.append(Rejection(_words(name, _told(shape, name), max(most, 0)), lacking))
        return rejections

    def room(self, shape: Shape, nodes: Nodes, rows: Ints) -> Ints:
        asked = nodes.vector(shape)
        used = np.flatnonzero(asked)
        room: Ints = (nodes.free()[np.ix_(rows, used)] // asked[used]).min(axis=1)
        return room


def _unknown(name: str, asked: int, nodes: Nodes) -> Rejection:
    return Rejection(_words(name, asked, 0), np.ones_like(nodes.valid))


def _told(shape: Shape, name: str) -> int:
    """What was asked for, also where no node could have it."""
    return shape.beyond.get(name, shape.requests[name])


def _words(name: str, asked: int, most: int) -> str:
    if name == PODS:
        return "Too many pods"
    text = format_millis if name == CPU else format_bytes if name in (MEMORY, EPHEMERAL) else str
    return f"Insufficient {name} (asked {text(asked)}, most free on one node {text(most)})"

"""NodeUnschedulable: a cordoned node takes only pods that tolerate the unschedulable taint."""

from __future__ import annotations

from typing import ClassVar

from actors.api.node import TAINT_UNSCHEDULABLE, Taint
from actors.api.toleration import is_tolerated
from actors.scheduler.framework import Change, Plugin, Rejection
from actors.scheduler.nodes import Nodes
from actors.scheduler.shape import Shape

_TAINT = Taint(key=TAINT_UNSCHEDULABLE, effect="NoSchedule")


class NodeUnschedulable(Plugin, frozen=True):
    wakes_on: ClassVar[Change] = Change.NODE_ADDED | Change.NODE_TAINT

    def filter(self, shape: Shape, nodes: Nodes) -> list[Rejection]:
        if is_tolerated(_TAINT, shape.tolerations):
            return []
        return [Rejection("node(s) were unschedulable", nodes.unschedulable)]

"""SchedulingGates (KEP-3521): a pod with `spec.schedulingGates` waits until all of them are removed."""

from __future__ import annotations

from actors.scheduler.framework import Plugin
from actors.scheduler.shape import Shape


class SchedulingGates(Plugin, frozen=True):
    def pre_enqueue(self, shape: Shape) -> str:
        if not shape.gates:
            return ""
        return f"waiting for scheduling gates: [{' '.join(shape.gates)}]"

"""The plugins there are, and the default order and weights. A plugin is one file and one line in `AnyPlugin`."""

from __future__ import annotations

from actors.scheduler.plugins.device_packing import DevicePacking
from actors.scheduler.plugins.node_affinity import NodeAffinity
from actors.scheduler.plugins.node_ports import NodePorts
from actors.scheduler.plugins.node_resources_allocated import NodeResourcesLeastAllocated, NodeResourcesMostAllocated
from actors.scheduler.plugins.node_resources_fit import NodeResourcesFit
from actors.scheduler.plugins.node_unschedulable import NodeUnschedulable
from actors.scheduler.plugins.scheduling_gates import SchedulingGates
from actors.scheduler.plugins.taint_toleration import TaintToleration

AnyPlugin = (
    SchedulingGates
    | NodeUnschedulable
    | TaintToleration
    | NodeAffinity
    | NodePorts
    | NodeResourcesFit
    | NodeResourcesLeastAllocated
    | NodeResourcesMostAllocated
    | DevicePacking
)

#: Filters run in this order: the first that refuses a node gives the reason that is counted for it.
DEFAULT_PROFILE: tuple[AnyPlugin, ...] = (
    SchedulingGates(),
    NodeUnschedulable(),
    TaintToleration(),
    NodeAffinity(),
    NodePorts(),
    NodeResourcesFit(),
    NodeResourcesLeastAllocated(),
    DevicePacking(),
)

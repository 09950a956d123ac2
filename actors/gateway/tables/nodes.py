"""`kubectl get nodes`."""

from __future__ import annotations

import msgspec

from actors.api.clock import Millis
from actors.api.meta import Lens, Resource
from actors.api.node import Node, NodeSpec, NodeStatus
from actors.gateway.tables.table import AGE, NAME, NONE, UNKNOWN, Cell, Column, Printer, age, wide

_ROLE = "node-role.kubernetes.io/"


class NodeInfo(Lens, frozen=True):
    kubelet_version: str = ""
    os_image: str = ""
    kernel_version: str = ""
    container_runtime_version: str = ""


class ShownStatus(NodeStatus, frozen=True):
    node_info: NodeInfo = NodeInfo()


class ShownNode(Resource, frozen=True):
    spec: NodeSpec = NodeSpec()
    status: ShownStatus = msgspec.field(default_factory=ShownStatus)


def status_word(node: ShownNode | Node) -> str:
    ready = next((c for c in node.status.conditions or () if c.type == "Ready"), None)
    word = "Unknown" if ready is None else "Ready" if ready.status == "True" else "NotReady"
    return f"{word},SchedulingDisabled" if node.spec.unschedulable else word


def roles(node: ShownNode) -> str:
    labels = node.metadata.labels or {}
    found = {name.removeprefix(_ROLE) for name in labels if name.startswith(_ROLE) and name != _ROLE}
    if labels.get("kubernetes.io/role"):
        found.add(labels["kubernetes.io/role"])
    return ",".join(sorted(found)) or NONE


def _address(node: ShownNode, kind: str) -> str:
    return next((a.address for a in node.status.addresses or () if a.type == kind), NONE)


def cells(node: ShownNode, now: Millis) -> tuple[Cell, ...]:
    info = node.status.node_info
    return (
        node.metadata.name,
        status_word(node),
        roles(node),
        age(node, now),
        info.kubelet_version,
        _address(node, "InternalIP"),
        _address(node, "ExternalIP"),
        info.os_image or UNKNOWN,
        info.kernel_version or UNKNOWN,
        info.container_runtime_version or UNKNOWN,
    )


COLUMNS = (
    NAME,
    Column("Status", description="The status of the node."),
    Column("Roles", description="The roles of the node."),
    AGE,
    Column("Version", description="Version of the node's agent."),
    *wide("Internal-IP", "External-IP", "OS-Image", "Kernel-Version", "Container-Runtime"),
)
PRINTER = Printer(COLUMNS, ShownNode, cells)

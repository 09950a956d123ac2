"""Lenses over Node (core/v1) and Lease, and the labels and taints that raypod itself sets."""

from __future__ import annotations

import msgspec

from actors.api.meta import Condition, Lens, Resource

NODE_LABEL = "raypod.io/node"
#: Devices of a node by id, written by its nodelet: JSON, {resource: [{"id", "healthy", "attributes"}, ...]}.
NODE_DEVICES_ANNOTATION = "raypod.io/devices"
TAINT_NOT_READY = "node.kubernetes.io/not-ready"
TAINT_UNREACHABLE = "node.kubernetes.io/unreachable"
TAINT_UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
#: Set (NoExecute) by whoever knows that the node is gone for now: its pods are replaced at once (Kubernetes' word).
TAINT_OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
LEASE_NAMESPACE = "kube-node-lease"


class Taint(Lens, frozen=True):
    key: str
    effect: str
    value: str = ""
    time_added: str | None = None


class NodeSpec(Lens, frozen=True):
    unschedulable: bool = False
    taints: tuple[Taint, ...] | None = None
    pod_cidr: str = msgspec.field(name="podCIDR", default="")
    provider_id: str = msgspec.field(name="providerID", default="")


class NodeAddress(Lens, frozen=True):
    type: str
    address: str


class NodeStatus(Lens, frozen=True):
    capacity: dict[str, str | int | float] | None = None
    allocatable: dict[str, str | int | float] | None = None
    conditions: tuple[Condition, ...] | None = None
    addresses: tuple[NodeAddress, ...] | None = None


class Node(Resource, frozen=True):
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()

    @property
    def is_ready(self) -> bool:
        return any(c.type == "Ready" and c.status == "True" for c in self.status.conditions or ())


class LeaseSpec(Lens, frozen=True):
    holder_identity: str = ""
    lease_duration_seconds: int = 40
    renew_time: str | None = None


class Lease(Resource, frozen=True):
    spec: LeaseSpec = LeaseSpec()

"""The Node object and its Lease as writes: registered once, then kept fresh. Pure.

What the store has is learnt from replies: a Node that somebody deletes is registered again with the next heartbeat.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from actors.api.clock import Millis, format_micro_time, format_time
from actors.api.key import Key
from actors.api.kinds import LEASE, NODE
from actors.api.node import LEASE_NAMESPACE, NODE_DEVICES_ANNOTATION, NODE_LABEL
from actors.api.text import shorten
from actors.nodelet.config import NodeletConfig
from actors.nodelet.facts import NodeFacts
from actors.nodelet.resources import derive_allocatable, derive_capacity, format_amounts
from actors.plugins.device.port import Device
from actors.reconcile.actions import Create, Patch, PatchType, Reply, StoreWrite

#: What `kubectl get nodes` shows as VERSION.
KUBERNETES_VERSION = "v1.37.0"
NVIDIA_PRESENT = "nvidia.com/gpu.present"
NVIDIA_COUNT = "nvidia.com/gpu.count"
NVIDIA_PRODUCT = "nvidia.com/gpu.product"
NVIDIA_MEMORY = "nvidia.com/gpu.memory"

#: So long after a write was refused it is tried again.
RETRY_MS = 1_000
NEVER_MS = 1 << 62

JSON = dict[str, Any]


class Timer(msgspec.Struct, frozen=True):
    """Due at once, or `period_ms` after `since_ms`. A clock that went backwards makes it due, too."""

    since_ms: Millis | None = None
    period_ms: Millis = 0

    @classmethod
    def after(cls, reason: str | None, now: Millis, period_ms: Millis) -> Timer:
        """After a write: its period when it was done, soon when it is to be done another way, or was refused."""
        if reason in ("AlreadyExists", "NotFound"):
            return cls()
        return cls(now, period_ms if reason is None else RETRY_MS)

    @property
    def due_ms(self) -> Millis:
        return 0 if self.since_ms is None else self.since_ms + self.period_ms

    def is_due(self, now: Millis) -> bool:
        return self.since_ms is None or not self.since_ms <= now < self.due_ms


class NodeKeeper:
    """Keeps one Node and its Lease in the store. What is not yet there, or was refused, has no next time but soon."""

    def __init__(self, name: str, config: NodeletConfig) -> None:
        self.name, self._config = name, config
        self._facts: NodeFacts | None = None
        self._conditions: dict[str, tuple[str, Millis]] = {}
        self.forget()

    @property
    def key(self) -> Key:
        return Key(NODE.resource, "", self.name)

    @property
    def lease_key(self) -> Key:
        return Key(LEASE.resource, LEASE_NAMESPACE, self.name)

    def learn(self, facts: NodeFacts) -> None:
        if facts != self._facts:
            self._facts, self._describe, self._status_timer = facts, Timer(), Timer()

    def forget(self) -> None:
        """After a relist: whether the objects are there is learnt anew."""
        self._registered = self._leased = False
        self._register, self._describe, self._status_timer, self._renew = Timer(), Timer(), Timer(), Timer()

    def decide(self, now: Millis) -> list[StoreWrite]:
        """Registration, description and status of the Node, renewal of the Lease: those that are due."""
        facts = self._facts
        if facts is None:
            return []
        writes: list[StoreWrite] = []
        if not self._registered and self._register.is_due(now):
            writes.append(Create(resource=NODE.resource, namespace="", object=self._node(facts)))
        elif self._registered and self._describe.is_due(now):
            metadata = derive_metadata(self.name, facts, self._config)
            writes.append(Patch(key=self.key, patch={"metadata": metadata, "spec": _pod_range(facts)}))
        if self._status_timer.is_due(now) and (self._registered or writes):
            status = {"status": self._status(facts, now)}
            writes.append(Patch(key=self.key, patch=status, type=PatchType.STRATEGIC, subresource="status"))
        if self._renew.is_due(now):
            writes.append(self._lease(now))
        return writes

    def replied(self, write: StoreWrite, reply: Reply, now: Millis) -> bool:
        """False when the write was none of these."""
        reason = (reply.error or {}).get("reason")
        resource = write.resource if isinstance(write, Create) else write.key.resource
        if resource == LEASE.resource:
            self._leased = reason in (None, "AlreadyExists") or (self._leased and reason != "NotFound")
            self._renew = Timer.after(reason, now, self._config.lease_renew_ms)
        elif resource == NODE.resource and isinstance(write, Create):
            self._registered = reason in (None, "AlreadyExists")
            self._register = Timer.after(reason, now, 0)
            self._describe = Timer.after(reason, now, NEVER_MS)
        elif resource == NODE.resource and isinstance(write, Patch):
            self._node_replied(write, reason, now)
        return resource in (LEASE.resource, NODE.resource)

    def wake_at(self) -> Millis | None:
        if self._facts is None:
            return None
        node = self._describe.due_ms if self._registered else self._register.due_ms
        return min(node, self._status_timer.due_ms, self._renew.due_ms)

    def _node_replied(self, write: Patch, reason: str | None, now: Millis) -> None:
        if reason == "NotFound":
            self._registered, self._register = False, Timer()
        if write.subresource == "status":
            self._status_timer = Timer.after(reason, now, self._config.status_ms)
        else:
            self._describe = Timer.after(reason, now, NEVER_MS)

    def _node(self, facts: NodeFacts) -> JSON:
        metadata = {"name": self.name, **derive_metadata(self.name, facts, self._config)}
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": metadata,
            "spec": _pod_range(facts) | {"providerID": f"raypod://{self.name}"},
        }

    def _status(self, facts: NodeFacts, now: Millis) -> JSON:
        return {
            "capacity": format_amounts(derive_capacity(facts, self._config)),
            "allocatable": format_amounts(derive_allocatable(facts, self._config)),
            "addresses": [
                {"type": "InternalIP", "address": facts.address},
                {"type": "Hostname", "address": facts.hostname or self.name},
            ],
            "nodeInfo": derive_node_info(facts),
            "conditions": [self._timed(condition, now) for condition in derive_conditions(facts)],
        }

    def _timed(self, condition: JSON, now: Millis) -> JSON:
        """The heartbeat is always now; the transition only when the status changes."""
        status, since = self._conditions.get(condition["type"], ("", now))
        if status != condition["status"]:
            since = now
            self._conditions[condition["type"]] = (condition["status"], now)
        return condition | {"lastHeartbeatTime": format_time(now), "lastTransitionTime": format_time(since)}

    def _lease(self, now: Millis) -> StoreWrite:
        spec = {
            "holderIdentity": self.name,
            "leaseDurationSeconds": self._config.lease_duration_seconds,
            "renewTime": format_micro_time(now),
        }
        if self._leased:
            return Patch(key=self.lease_key, patch={"spec": spec})
        lease = {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": {"name": self.name}, "spec": spec}
        return Create(resource=LEASE.resource, namespace=LEASE_NAMESPACE, object=lease)


def _pod_range(facts: NodeFacts) -> JSON:
    return {"podCIDR": facts.pod_cidr, "podCIDRs": [facts.pod_cidr]} if facts.pod_cidr else {}


def derive_metadata(name: str, facts: NodeFacts, config: NodeletConfig) -> JSON:
    labels: dict[str, str | None] = {
        "kubernetes.io/hostname": facts.hostname or name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": facts.architecture,
        "beta.kubernetes.io/os": "linux",
        "beta.kubernetes.io/arch": facts.architecture,
        NODE_LABEL: name,
    }
    return {
        "labels": labels | derive_gpu_labels(facts.devices) | dict(config.labels),
        "annotations": {NODE_DEVICES_ANNOTATION: format_devices(facts.devices)},
    }


def derive_gpu_labels(devices: tuple[Device, ...]) -> dict[str, str]:
    """The labels that NVIDIA's GPU feature discovery sets, so that its users' selectors work."""
    gpus = [device for device in devices if device.resource == "nvidia.com/gpu"]
    if not gpus:
        return {}
    labels = {NVIDIA_PRESENT: "true", NVIDIA_COUNT: str(len(gpus))}
    model, memory = gpus[0].attributes.get("model"), gpus[0].attributes.get("memoryBytes")
    if model:
        labels[NVIDIA_PRODUCT] = str(model).replace(" ", "-")[:63]
    if memory:
        labels[NVIDIA_MEMORY] = str(int(memory) >> 20)
    return labels


def format_devices(devices: tuple[Device, ...]) -> str:
    """The annotation: `{resource: [{"id", "healthy", "attributes"}, ...]}`, by id."""
    by_resource: dict[str, list[JSON]] = {}
    for device in sorted(devices, key=lambda device: device.id):
        entry: JSON = {"id": device.id, "healthy": device.healthy, "attributes": device.attributes}
        by_resource.setdefault(device.resource, []).append(entry | ({"reason": device.reason} if device.reason else {}))
    return msgspec.json.encode(by_resource).decode()


def derive_node_info(facts: NodeFacts) -> JSON:
    return {
        "machineID": facts.machine_id,
        "systemUUID": facts.machine_id,
        "bootID": facts.boot_id,
        "kernelVersion": facts.kernel_version,
        "osImage": facts.os_image,
        "containerRuntimeVersion": facts.runtime_version or "raypod://native",
        "kubeletVersion": f"{KUBERNETES_VERSION}-raypod{facts.version}",
        "kubeProxyVersion": "",
        "operatingSystem": "linux",
        "architecture": facts.architecture,
    }


def derive_conditions(facts: NodeFacts) -> list[JSON]:
    """NetworkUnavailable is a network plugin's in Kubernetes; what `kubectl describe node` shows as its message is
    where users look for why pods do not reach something.
    """
    ready = not facts.message
    healthy: Mapping[str, tuple[str, str]] = {
        "MemoryPressure": ("NodeletHasSufficientMemory", "nodelet has sufficient memory available"),
        "DiskPressure": ("NodeletHasNoDiskPressure", "nodelet has no disk pressure"),
        "PIDPressure": ("NodeletHasSufficientPID", "nodelet has sufficient PID available"),
    }
    conditions = [{"type": t, "status": "False", "reason": r, "message": m} for t, (r, m) in healthy.items()]
    warned = shorten("; ".join(facts.network_warnings))
    conditions.append(
        {
            "type": "NetworkUnavailable",
            "status": "False",
            "reason": "PodNetworkLimited" if warned else "PodNetworkReady",
            "message": warned or "the network of the pods is set up",
        }
    )
    ready_condition = {
        "type": "Ready",
        "status": str(ready),
        "reason": "NodeletReady" if ready else "NodeletNotReady",
        "message": facts.message or "nodelet is posting ready status",
    }
    return [*conditions, ready_condition]

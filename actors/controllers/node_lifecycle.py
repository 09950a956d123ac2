"""Nodes that fall silent: Ready becomes Unknown, taints say so, the scheduler and eviction act on the taints.

How long a lease has been silent is measured by our own clock since we last saw it change: clocks of nodes may differ.
When no other node is ready nothing is evicted (no NoExecute taint): more likely we are the ones cut off.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from actors.api.clock import Millis, format_time
from actors.api.key import Key
from actors.api.kinds import LEASE, NODE
from actors.api.node import (
    LEASE_NAMESPACE,
    TAINT_NOT_READY,
    TAINT_OUT_OF_SERVICE,
    TAINT_UNREACHABLE,
    TAINT_UNSCHEDULABLE,
    Lease,
    Node,
)
from actors.controllers.config import ControllersConfig
from actors.reconcile.actions import Action, Emit, Patch, PatchType, RequeueAfter
from actors.reconcile.conditions import condition, find_condition
from actors.reconcile.controller import Controller, controller
from actors.reconcile.view import View

_OURS = (TAINT_NOT_READY, TAINT_UNREACHABLE, TAINT_UNSCHEDULABLE)
#: A network plugin's NetworkUnavailable says of a silent node what it said before, as in Kubernetes.
_HEARTBEATS = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
_SILENT = "Nodelet stopped posting node status."


def node_lifecycle(config: ControllersConfig) -> Controller[Node]:
    @controller(Node, watches={Lease: node_of, Node: unready_nodes})
    def reconcile(node: Node, view: View, now: Millis) -> Iterable[Action]:
        left_ms = _heard_ms(node, view) + config.node_grace_ms - now
        if left_ms <= 0 or is_out_of_service(node):
            yield from _declare_unknown(node, now)
        else:
            yield RequeueAfter(left_ms)
        yield from _taint(node, view, now)

    return reconcile


def node_of(key: Key, lease: Lease, view: View) -> Iterable[Key]:
    return (Key(NODE.resource, "", key.name),) if key.namespace == LEASE_NAMESPACE else ()


def unready_nodes(key: Key, node: Node, view: View) -> Iterable[Key]:
    """Whether these may be evicted depends on whether another is ready."""
    return [_key(other) for other in view.unready_nodes()]


def is_out_of_service(node: Node) -> bool:
    return any(taint.key == TAINT_OUT_OF_SERVICE for taint in node.spec.taints or ())


def _key(node: Node) -> Key:
    return Key(NODE.resource, "", node.metadata.name)


def _heard_ms(node: Node, view: View) -> Millis:
    lease = Key(LEASE.resource, LEASE_NAMESPACE, node.metadata.name)
    return view.seen_ms(lease if view.at(lease) else _key(node))


def _declare_unknown(node: Node, now: Millis) -> Iterable[Action]:
    ready = find_condition(node.status.conditions, "Ready")
    if ready is None or ready.status == "Unknown":
        return
    known = [c.type for c in node.status.conditions or () if c.type in _HEARTBEATS]
    rows = [condition(name, "Unknown", "NodeStatusUnknown", _SILENT, now) for name in known]
    patch = {"status": {"conditions": rows}}
    yield Patch(key=_key(node), patch=patch, type=PatchType.STRATEGIC, subresource="status", uid=node.metadata.uid)
    message = f"Node {node.metadata.name} status is now: NodeNotReady"
    yield Emit(regarding=_key(node), uid=node.metadata.uid, reason="NodeNotReady", message=message)


def _taint(node: Node, view: View, now: Millis) -> Iterable[Action]:
    wanted = _wanted_taints(node, view)
    taints = node.spec.taints or ()
    present = {(taint.key, taint.effect) for taint in taints if taint.key in _OURS}
    if present == set(wanted):
        return
    rows = [
        _row(t.key, t.effect, t.value, t.time_added)
        for t in taints
        if t.key not in _OURS or (t.key, t.effect) in wanted
    ]
    rows += [_row(key, effect, "", format_time(now)) for key, effect in wanted if (key, effect) not in present]
    patch = {"spec": {"taints": rows or None}}
    yield Patch(key=_key(node), patch=patch, revision=node.metadata.revision, uid=node.metadata.uid)


def _wanted_taints(node: Node, view: View) -> list[tuple[str, str]]:
    ready = find_condition(node.status.conditions, "Ready")
    wanted = [(TAINT_UNSCHEDULABLE, "NoSchedule")] if node.spec.unschedulable else []
    if ready is not None and ready.status == "True":
        return wanted
    taint = TAINT_UNREACHABLE if ready is not None and ready.status == "Unknown" else TAINT_NOT_READY
    wanted.append((taint, "NoSchedule"))
    if ready is not None and view.has_ready_node():
        wanted.append((taint, "NoExecute"))
    return wanted


def _row(key: str, effect: str, value: str, time_added: str | None) -> dict[str, Any]:
    row = {"key": key, "effect": effect, "value": value, "timeAdded": time_added}
    return {name: text for name, text in row.items() if text}

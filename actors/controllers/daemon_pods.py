"""Pods of a DaemonSet: each is for one node, which it names as its only affinity, and bears what nodes in trouble ask.

Whether a node is to have one is asked of its labels and taints, as pkg/controller/daemon does.
"""

from __future__ import annotations

from typing import Any

import msgspec

from actors.api.codec import Object
from actors.api.key import Key
from actors.api.kinds import POD
from actors.api.node import TAINT_NOT_READY, TAINT_UNREACHABLE, TAINT_UNSCHEDULABLE, Node
from actors.api.node_affinity import is_wanted
from actors.api.pod import Pod, Toleration
from actors.api.toleration import is_tolerated
from actors.api.workloads import DaemonSet
from actors.controllers.pods import derive_suffix, new_pod
from actors.controllers.template_history import REVISION_LABEL
from actors.reconcile.view import View

_NAME_CHARS_MAX = 57
_PRESSURES = tuple(f"node.kubernetes.io/{what}-pressure" for what in ("disk", "memory", "pid"))
_ADDED = [
    *({"key": key, "operator": "Exists", "effect": "NoExecute"} for key in (TAINT_NOT_READY, TAINT_UNREACHABLE)),
    *({"key": key, "operator": "Exists", "effect": "NoSchedule"} for key in (*_PRESSURES, TAINT_UNSCHEDULABLE)),
]
_NETWORK = {"key": "node.kubernetes.io/network-unavailable", "operator": "Exists", "effect": "NoSchedule"}
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def shall_run(daemon: DaemonSet, node: Node) -> tuple[bool, bool]:
    """Whether a pod is to be started on the node, and whether one that is there may stay."""
    spec = daemon.spec.template.spec
    if spec.get("nodeName") not in (None, "", node.metadata.name) or not is_wanted(spec, node):
        return False, False
    borne = msgspec.convert(_tolerations(spec), tuple[Toleration, ...])
    barred = {taint.effect for taint in node.spec.taints or () if not is_tolerated(taint, borne)}
    return not barred & {"NoSchedule", "NoExecute"}, "NoExecute" not in barred


def make_pod(daemon: DaemonSet, node: str, mark: str, view: View) -> Object:
    pod = new_pod(daemon.spec.template, daemon, _free_name(daemon, node, view), labels={REVISION_LABEL: mark})
    spec = daemon.spec.template.spec
    pod["spec"] = {**spec, "affinity": _pinned(spec.get("affinity") or {}, node), "tolerations": _tolerations(spec)}
    return pod


def node_of(pod: Pod) -> str:
    """Where it is, or where it is to go."""
    if pod.spec.node_name:
        return pod.spec.node_name
    terms = (((pod.spec.affinity or {}).get("nodeAffinity") or {}).get(_REQUIRED) or {}).get("nodeSelectorTerms") or ()
    rows = [row for term in terms for row in term.get("matchFields") or () if row.get("key") == "metadata.name"]
    return str(rows[0]["values"][0]) if rows and rows[0].get("values") else ""


def _tolerations(spec: Object) -> list[Any]:
    added = [*_ADDED, _NETWORK] if spec.get("hostNetwork") else _ADDED
    own = list(spec.get("tolerations") or ())
    return own + [row for row in added if row not in own]


def _pinned(affinity: Object, node: str) -> Object:
    """Node affinity is for this node alone: what was asked of nodes has been heeded."""
    field = {"key": "metadata.name", "operator": "In", "values": [node]}
    kept = affinity.get("nodeAffinity") or {}
    return {**affinity, "nodeAffinity": {**kept, _REQUIRED: {"nodeSelectorTerms": [{"matchFields": [field]}]}}}


def _free_name(daemon: DaemonSet, node: str, view: View) -> str:
    meta, attempt = daemon.metadata, 0
    while True:
        name = f"{meta.name[:_NAME_CHARS_MAX]}-{derive_suffix(meta.uid, node, attempt)}"
        if view.at(Key(POD.resource, meta.namespace, name)) is None:
            return name
        attempt += 1

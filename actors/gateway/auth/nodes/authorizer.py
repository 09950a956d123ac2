"""May a node do that? As plugin/pkg/auth/authorizer/node/node_authorizer.go: what its pods need, and nothing else.

Reads of Secrets and their like are held to the graph; of its own Node, Lease and CSINode the name tells; the rest is
what the role `system:node` says. What the contents of a write may be is NodeRestriction's, in the store. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from actors.api.default_roles import rules_of_default
from actors.api.key import Key
from actors.api.pod_references import CLAIMS, RESOURCE_CLAIMS
from actors.api.rbac import Attributes
from actors.gateway.auth.nodes.graph import ATTACHMENTS, SLICES, VOLUMES, Graph

LEASE_NAMESPACE = "kube-node-lease"
_OWN_VERBS = ("get", "create", "update", "patch", "delete")


class Opinion(NamedTuple):
    """Not allowed: other authorizers are asked, and the reason is told when none allows."""

    allowed: bool
    reason: str = ""


_YES, _NONE = Opinion(True), Opinion(False)


class NodeAuthorizer:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._rules = rules_of_default("system:node")
        self._judges: dict[str, Callable[[str, Attributes], Opinion]] = {
            "secrets": self._read_namespaced,
            "configmaps": self._read_namespaced,
            CLAIMS: self._of_claim,
            VOLUMES: self._get,
            RESOURCE_CLAIMS: self._get,
            ATTACHMENTS: self._get,
            "serviceaccounts": self._of_account,
            "leases.coordination.k8s.io": _of_lease,
            "csinodes.storage.k8s.io": _of_csi_node,
            SLICES: self._of_slice,
            "nodes": _of_node,
            "pods": self._of_pod,
        }

    def decide(self, node: str, asked: Attributes) -> Opinion:
        """`node` "" is one that does not say which it is."""
        if not node:
            return Opinion(False, 'unknown node for user "system:node:"')
        judge = self._judges.get(_resource(asked)) if asked.resource else None
        if judge is not None:
            return judge(node, asked)
        return _YES if any(rule.allows(asked) for rule in self._rules) else _NONE

    def _related(self, node: str, asked: Attributes) -> Opinion:
        if not asked.name:
            return Opinion(False, "No Object name found")
        if self._graph.leads_to(node, Key(_resource(asked), asked.namespace, asked.name)):
            return _YES
        return Opinion(False, f"no relationship found between node '{node}' and this object")

    def _get(self, node: str, asked: Attributes) -> Opinion:
        if asked.verb != "get":
            return Opinion(False, "can only get individual resources of this type")
        if asked.subresource:
            return Opinion(False, "cannot get subresource")
        return self._related(node, asked)

    def _read_namespaced(self, node: str, asked: Attributes) -> Opinion:
        if asked.verb not in ("get", "list", "watch"):
            return Opinion(False, "can only read resources of this type")
        if asked.subresource:
            return Opinion(False, "cannot read subresource")
        if not asked.namespace:
            return Opinion(False, "can only read namespaced object of this type")
        return self._related(node, asked)

    def _of_claim(self, node: str, asked: Attributes) -> Opinion:
        if asked.subresource != "status":
            return self._get(node, asked)
        if asked.verb not in ("update", "patch"):
            return Opinion(False, "can only get/update/patch this type")
        return self._related(node, asked)

    def _of_account(self, node: str, asked: Attributes) -> Opinion:
        if asked.verb == "get" and not asked.subresource:
            return self._related(node, asked)
        if asked.verb != "create" or not asked.name:
            return Opinion(False, "can only create tokens for individual service accounts")
        if asked.subresource != "token":
            return Opinion(False, "can only create token subresource of serviceaccount")
        return self._related(node, asked)

    def _of_slice(self, node: str, asked: Attributes) -> Opinion:
        if asked.subresource:
            return Opinion(False, "cannot authorize ResourceSlice subresources")
        match asked.verb:
            case "create":
                return _YES
            case "get" | "update" | "patch" | "delete":
                return self._related(node, asked)
            case "list" | "watch" | "deletecollection":
                if ("spec.nodeName", node) in asked.fields:
                    return _YES
                told = "can only list/watch/deletecollection resourceslices with nodeName field selector"
                return Opinion(False, told)
        verbs = "get, watch, list, create, update, patch, delete, deletecollection"
        return Opinion(False, f"only the following verbs are allowed for a ResourceSlice: {verbs}")

    def _of_pod(self, node: str, asked: Attributes) -> Opinion:
        match asked.subresource, asked.verb:
            case "", "get":
                return self._related(node, asked)
            case "", "list" | "watch":
                if ("spec.nodeName", node) in asked.fields:
                    return _YES
                if asked.name:
                    return self._related(node, asked)
                return Opinion(False, "can only list/watch pods with spec.nodeName field selector")
            case ("", "create" | "delete") | ("status", "update" | "patch") | ("eviction", "create"):
                return _YES
        return _NONE


def _of_node(node: str, asked: Attributes) -> Opinion:
    match asked.subresource, asked.verb:
        case ("", "create" | "update" | "patch") | ("status", "update" | "patch"):
            return _YES
        case "", "get" | "list" | "watch":
            if asked.name == node:
                return _YES
            which = f"'{asked.name}'" if asked.name else "all nodes"
            return Opinion(False, f"node '{node}' cannot read {which}, only its own Node object")
    return _NONE


def _of_lease(node: str, asked: Attributes) -> Opinion:
    if asked.verb not in _OWN_VERBS:
        return Opinion(False, "can only get, create, update, patch, or delete a node lease")
    if asked.namespace != LEASE_NAMESPACE:
        return Opinion(False, f'can only access leases in the "{LEASE_NAMESPACE}" system namespace')
    if asked.verb != "create" and asked.name != node:
        return Opinion(False, "can only access node lease with the same name as the requesting node")
    return _YES


def _of_csi_node(node: str, asked: Attributes) -> Opinion:
    if asked.verb not in _OWN_VERBS:
        return Opinion(False, "can only get, create, update, patch, or delete a CSINode")
    if asked.subresource:
        return Opinion(False, "cannot authorize CSINode subresources")
    if asked.verb != "create" and asked.name != node:
        return Opinion(False, "can only access CSINode with the same name as the requesting node")
    return _YES


def _resource(asked: Attributes) -> str:
    return f"{asked.resource}.{asked.group}" if asked.group else asked.resource

"""NodeRestriction: a node changes its own Node, Lease and CSINode, and the pods that are bound to it; no other's.

As plugin/pkg/admission/noderestriction. A node is who is called `system:node:NAME`: a kubelet that the gateway has
authenticated, and every nodelet of ours, whose writes come without passing the gateway. So an error in a nodelet stays
within its node; whoever holds the store's actor can call itself as it likes (docs/threat-model.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

from actors.api.codec import Object
from actors.api.key import Key
from actors.api.kinds import LEASE, NODE, POD
from actors.api.node_labels import forbidden_labels, modified_labels
from actors.api.pod_references import (
    CLAIMS,
    MIRROR,
    claim_names,
    config_map_names,
    is_mirror,
    secret_names,
)
from actors.store.admission.plugin import Operation, Plugin, Request
from actors.store.admission.refusals import not_found

NODE_USER_PREFIX = "system:node:"
LEASE_NAMESPACE = "kube-node-lease"
_CSI_NODES, _SLICES = "csinodes.storage.k8s.io", "resourceslices.resource.k8s.io"
#: What of a claim's status a node may tell: what it has made of a volume that grows.
_OF_CLAIMS = ("capacity", "conditions", "allocatedResources", "allocatedResourceStatuses")
_ALL = frozenset(Operation)


class NodeRestriction(Plugin, frozen=True):
    resources: ClassVar[frozenset[str]] = frozenset(
        {POD.resource, NODE.resource, LEASE.resource, CLAIMS, _CSI_NODES, _SLICES}
    )
    operations: ClassVar[frozenset[Operation]] = _ALL
    subresources: ClassVar[frozenset[str]] = frozenset()

    def mutate(self, request: Request, obj: Object) -> Object:
        """Changes nothing: it refuses early, as Kubernetes does, also what would turn out to change nothing."""
        self._check(request, obj)
        return obj

    def validate(self, request: Request, obj: Object) -> None:
        if request.operation is Operation.DELETE:
            self._check(request, obj)

    def _check(self, request: Request, obj: Object) -> None:
        """Raises Forbidden, NotFound."""
        user = request.context.user
        if not user.startswith(NODE_USER_PREFIX):
            return
        node = user.removeprefix(NODE_USER_PREFIX)
        if not node:
            raise request.forbidden(f'could not determine node from user "{user}"')
        for problem in _PROBLEMS[request.key.resource](node, request, obj):
            raise request.forbidden(problem)


def _of_pod(node: str, request: Request, obj: Object) -> Iterator[str]:
    bound_to = ((request.old or obj).get("spec") or {}).get("nodeName")
    if request.subresource == "status":
        yield from _of_pod_status(node, request.old or {}, obj, bound_to)
    elif request.subresource:
        yield f"unexpected pod subresource \"{request.subresource}\", only 'status' and 'eviction' are allowed"
    elif request.operation is Operation.CREATE:
        yield from _of_new_pod(node, request, obj)
    elif request.operation is Operation.DELETE:
        if bound_to != node:
            yield f'node "{node}" can only delete pods with spec.nodeName set to itself'
    else:
        yield f'unexpected operation "{request.operation}", node "{node}" can only create and delete mirror pods'


def _of_pod_status(node: str, old: Object, new: Object, bound_to: str | None) -> Iterator[str]:
    if bound_to != node:
        yield f'node "{node}" can only update pod status for pods with spec.nodeName set to itself'
    if modified_labels(old["metadata"].get("labels"), new["metadata"].get("labels")):
        yield f'node "{node}" cannot update labels through pod status'
    for field in ("resourceClaimStatuses", "extendedResourceClaimStatus"):
        if _status(old).get(field) != _status(new).get(field):
            yield f'node "{node}" cannot update resource claim statuses'


def _of_new_pod(node: str, request: Request, pod: Object) -> Iterator[str]:
    who = f'node "{node}"'
    if not is_mirror(pod):
        yield f'pod does not have "{MIRROR}" annotation, {who} can only create mirror pods'
    spec = pod.get("spec") or {}
    if spec.get("nodeName") != node:
        yield f"{who} can only create pods with spec.nodeName set to itself"
    yield from _of_owners(node, request, pod["metadata"].get("ownerReferences") or [])
    named = {
        "a service account": iter((spec.get("serviceAccountName") or "",)),
        "secrets": secret_names(spec),
        "configmaps": config_map_names(spec),
        "persistentvolumeclaims": claim_names(pod),
        "resourceclaims": (claim.get("name", "") for claim in spec.get("resourceClaims") or ()),
        "clustertrustbundles": _trust_bundles(spec),
    }
    yield from (f"{who} can not create pods that reference {what}" for what, names in named.items() if any(names))


def _of_owners(node: str, request: Request, owners: list[Object]) -> Iterator[str]:
    """A mirror pod is its node's, and goes with it."""
    who = f'node "{node}"'
    if len(owners) > 1:
        yield f"{who} can only create pods with a single owner reference set to itself"
    for owner in owners or [{}]:
        if (owner.get("apiVersion"), owner.get("kind"), owner.get("name")) != ("v1", NODE.kind, node):
            yield f"{who} can only create pods with an owner reference set to itself"
        if not owner.get("controller"):
            yield f"{who} can only create pods with a controller owner reference set to itself"
        if owner.get("blockOwnerDeletion"):
            yield f"{who} must not set blockOwnerDeletion on an owner reference"
        stored = request.context.lookup(Key(NODE.resource, "", node))
        if stored is None:
            raise not_found(NODE, node)
        if owner.get("uid") != stored.uid:
            yield f"node {node} UID mismatch: expected {owner.get('uid')} got {stored.uid}"


def _trust_bundles(spec: Object) -> Iterator[str]:
    for volume in spec.get("volumes") or ():
        for source in (volume.get("projected") or {}).get("sources") or ():
            if source.get("clusterTrustBundle") is not None:
                yield "one"


def _of_node(node: str, request: Request, obj: Object) -> Iterator[str]:
    who = f'node "{node}"'
    if request.key.name != node:
        yield f'{who} is not allowed to modify node "{request.key.name}"'
    old, before = request.old, (request.old or {}).get("metadata") or {}
    changed = forbidden_labels(modified_labels(before.get("labels"), obj["metadata"].get("labels")))
    spec = obj.get("spec") or {}
    if request.operation is Operation.CREATE:
        if spec.get("configSource") is not None:
            yield f"{who} is not allowed to create pods with a non-nil configSource"
        if changed:
            yield f"{who} is not allowed to set the following labels: {', '.join(changed)}"
    elif old is not None and request.operation is Operation.UPDATE:
        was = old.get("spec") or {}
        if spec.get("configSource") is not None and spec["configSource"] != was.get("configSource"):
            yield f"{who} is not allowed to update configSource to a new non-nil configSource"
        if (spec.get("taints") or []) != (was.get("taints") or []):
            yield f"{who} is not allowed to modify taints"
        if (obj["metadata"].get("ownerReferences") or []) != (before.get("ownerReferences") or []):
            yield f"{who} is not allowed to modify ownerReferences"
        if changed:
            yield f"is not allowed to modify labels: {', '.join(changed)}"


def _of_claim(node: str, request: Request, obj: Object) -> Iterator[str]:
    if request.subresource != "status":
        yield "may only update PVC status"
    elif _without_growth(request.old or {}) != _without_growth(obj):
        yield f'node "{node}" is not allowed to update fields other than status.capacity and status.conditions'


def _without_growth(claim: Object) -> Object:
    metadata = {
        name: value
        for name, value in claim["metadata"].items()
        if name not in ("managedFields", "resourceVersion") and value not in ({}, [])
    }
    status = {name: value for name, value in _status(claim).items() if name not in _OF_CLAIMS}
    return {**claim, "metadata": metadata, "status": status}


def _of_lease(node: str, request: Request, obj: Object) -> Iterator[str]:
    if request.key.namespace != LEASE_NAMESPACE:
        yield f'can only access leases in the "{LEASE_NAMESPACE}" system namespace'
    if request.key.name != node:
        yield "can only access node lease with the same name as the requesting node"


def _of_csi_node(node: str, request: Request, obj: Object) -> Iterator[str]:
    if request.key.name != node:
        yield "can only access CSINode with the same name as the requesting node"


def _of_slice(node: str, request: Request, obj: Object) -> Iterator[str]:
    if (obj.get("spec") or {}).get("nodeName") != node:
        yield "can only create ResourceSlice with the same NodeName as the requesting node"


def _status(obj: Object) -> Object:
    return obj.get("status") or {}


_PROBLEMS: dict[str, Callable[[str, Request, Object], Iterator[str]]] = {
    POD.resource: _of_pod,
    NODE.resource: _of_node,
    CLAIMS: _of_claim,
    LEASE.resource: _of_lease,
    _CSI_NODES: _of_csi_node,
    _SLICES: _of_slice,
}

"""Which range of addresses a node's pods get: claimed once per node, the same after every restart, no two alike.

The claims are one ConfigMap that is changed only against its revision, so of two nodelets that start together one sees
the other's claim and takes the next range. Run by the nodelet's shell before it registers its node.
"""

from __future__ import annotations

import ipaddress

from actors.api.codec import Object, decode, lens
from actors.api.errors import NotFound, Unavailable, from_status
from actors.api.key import Key
from actors.api.kinds import CONFIG_MAP, NODE
from actors.api.node import Node
from actors.plugins.network.cidr import select_pod_cidr
from actors.plugins.network.config import NetworkConfig
from actors.reconcile.actions import Create, Patch, StoreWrite
from actors.reconcile.watch import Selection
from actors.store.port import StorePort

CLAIMS = Key(CONFIG_MAP.resource, "kube-system", "raypod-pod-cidrs")
_ATTEMPTS_MAX = 100


async def claim_pod_cidr(store: StorePort, node_name: str, network: NetworkConfig) -> str:
    """This node's range. Raises ValueError when the cluster's is used up, Unavailable when others always come first."""
    for _ in range(_ATTEMPTS_MAX):
        claims, revision = await _read_claims(store)
        known = claims.get(node_name, "")
        if known and _is_within(known, network):
            return known
        nodes = await _nodes(store)
        cidr = _choose(node_name, claims, nodes, network)
        stale = {name: None for name, claim in claims.items() if claim == cidr and name != node_name}
        (reply,) = await store.commit([_claim(node_name, cidr, stale, revision)])
        if reply.error is None:
            return cidr
        if reply.error.get("reason") not in ("Conflict", "AlreadyExists", "NotFound"):
            raise from_status(reply.error)
    raise Unavailable(f"the pod ranges in {CLAIMS} change all the time")


def _choose(node_name: str, claims: dict[str, str], nodes: dict[str, str], network: NetworkConfig) -> str:
    """What the Node had before; else a free range; else, when all are claimed, one whose node is gone."""
    others = {name: cidr for name, cidr in claims.items() if name != node_name}
    before = nodes.get(node_name, "")
    if before and before not in others.values() and _is_within(before, network):
        return before
    taken = {*others.values(), *(cidr for name, cidr in nodes.items() if cidr and name != node_name)}
    try:
        return select_pod_cidr(network.cluster_cidr, sorted(taken), network.pod_cidr_prefix)
    except ValueError:
        living = {cidr for name, cidr in {**others, **nodes}.items() if name in nodes and name != node_name}
        return select_pod_cidr(network.cluster_cidr, sorted(living - {""}), network.pod_cidr_prefix)


def _is_within(cidr: str, network: NetworkConfig) -> bool:
    """A claim from before the configuration changed does not count."""
    claim = ipaddress.IPv4Network(cidr)
    return claim.prefixlen == network.pod_cidr_prefix and claim.subnet_of(ipaddress.IPv4Network(network.cluster_cidr))


async def _read_claims(store: StorePort) -> tuple[dict[str, str], int]:
    try:
        stored = await store.get(CLAIMS)
    except NotFound:
        return {}, 0
    return dict(decode(stored).get("data") or {}), stored.revision


async def _nodes(store: StorePort) -> dict[str, str]:
    page = await store.list(Selection(resources=(NODE.resource,)))
    return {stored.key.name: lens(stored, Node).spec.pod_cidr for stored in page.items}


def _claim(node_name: str, cidr: str, stale: dict[str, None], revision: int) -> StoreWrite:
    data: Object = {**stale, node_name: cidr}
    if revision:
        return Patch(key=CLAIMS, patch={"data": data}, revision=revision)
    metadata = {"name": CLAIMS.name, "namespace": CLAIMS.namespace}
    obj: Object = {"apiVersion": "v1", "kind": CONFIG_MAP.kind, "metadata": metadata, "data": data}
    return Create(resource=CLAIMS.resource, namespace=CLAIMS.namespace, object=obj)

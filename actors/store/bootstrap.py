"""What is there before anyone has created anything, as in a stock Kubernetes cluster. Repeating it changes nothing."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from actors.api import kinds
from actors.api.codec import Object
from actors.api.kinds import Kind
from actors.api.tokens import API_SERVICE_PORT
from actors.reconcile.actions import Create
from actors.store.admission.services.ranges import DEFAULT_RANGE
from actors.store.config import StoreConfig

_DEFAULT = StoreConfig()
NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
_PRIORITIES = {
    "system-node-critical": (
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
    "system-cluster-critical": (
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
}


def bootstrap_writes(config: StoreConfig = _DEFAULT) -> list[Create]:
    """In order; what exists already is answered AlreadyExists, which is fine."""
    return [
        *(_create(kinds.NAMESPACE, "", name) for name in NAMESPACES),
        *(_create(kinds.SERVICE_ACCOUNT, name, "default") for name in NAMESPACES),
        _create(kinds.SERVICE_CIDR, "", DEFAULT_RANGE, spec={"cidrs": list(config.service_cidrs)}),
        _create(kinds.SERVICE, "default", "kubernetes", labels=_API_LABELS, spec=_api_spec(config)),
        *(
            _create(kinds.PRIORITY_CLASS, "", name, value=value, description=text)
            for name, (value, text) in _PRIORITIES.items()
        ),
    ]


_API_LABELS = {"component": "apiserver", "provider": "kubernetes"}


def api_service_ip(config: StoreConfig) -> str:
    """The first address of the first range."""
    return str(ip_network(config.service_cidrs[0])[1])


def _api_spec(config: StoreConfig) -> Object:
    port = {"name": "https", "protocol": "TCP", "port": API_SERVICE_PORT, "targetPort": config.api_port}
    address = api_service_ip(config)
    return {"type": "ClusterIP", "clusterIP": address, "clusterIPs": [address], "ports": [port]}


def _create(kind: Kind, namespace: str, name: str, labels: dict[str, str] | None = None, **fields: Any) -> Create:
    metadata: Object = {"name": name, **({"namespace": namespace} if namespace else {})}
    if labels:
        metadata["labels"] = labels
    obj = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **fields}
    return Create(resource=kind.resource, namespace=namespace, object=obj)

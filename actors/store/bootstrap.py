"""What is there before anyone has created anything, as in a stock Kubernetes cluster. Repeating it changes nothing."""

from __future__ import annotations

from typing import Any

from actors.api import kinds
from actors.api.codec import Object
from actors.api.kinds import Kind
from actors.reconcile.actions import Create

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")
API_SERVICE_IP = "10.96.0.1"
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


def bootstrap_writes(api_port: int) -> list[Create]:
    """In order; what exists already is answered AlreadyExists, which is fine."""
    return [
        *(_create(kinds.NAMESPACE, "", name) for name in NAMESPACES),
        *(_create(kinds.SERVICE_ACCOUNT, name, "default") for name in NAMESPACES),
        _create(kinds.SERVICE, "default", "kubernetes", labels=_API_LABELS, spec=_api_spec(api_port)),
        *(
            _create(kinds.PRIORITY_CLASS, "", name, value=value, description=text)
            for name, (value, text) in _PRIORITIES.items()
        ),
    ]


_API_LABELS = {"component": "apiserver", "provider": "kubernetes"}


def _api_spec(api_port: int) -> Object:
    port = {"name": "https", "protocol": "TCP", "port": 443, "targetPort": api_port}
    return {"type": "ClusterIP", "clusterIP": API_SERVICE_IP, "clusterIPs": [API_SERVICE_IP], "ports": [port]}


def _create(kind: Kind, namespace: str, name: str, labels: dict[str, str] | None = None, **fields: Any) -> Create:
    metadata: Object = {"name": name, **({"namespace": namespace} if namespace else {})}
    if labels:
        metadata["labels"] = labels
    obj = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **fields}
    return Create(resource=kind.resource, namespace=namespace, object=obj)

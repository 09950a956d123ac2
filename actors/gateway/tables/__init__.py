"""Rows of `kubectl get`: one small pure printer per kind. Adding one is a file and a line in `PRINTERS`."""

from __future__ import annotations

from actors.gateway.tables import deployments, events, jobs, nodes, pods, replicasets, services, simple
from actors.gateway.tables.table import Printer

PRINTERS: dict[str, Printer] = {
    "pods": pods.PRINTER,
    "nodes": nodes.PRINTER,
    "jobs.batch": jobs.PRINTER,
    "deployments.apps": deployments.PRINTER,
    "replicasets.apps": replicasets.PRINTER,
    "events": events.PRINTER,
    "services": services.PRINTER,
    "endpoints": services.ENDPOINTS_PRINTER,
    "namespaces": simple.NAMESPACES,
    "configmaps": simple.CONFIG_MAPS,
    "secrets": simple.SECRETS,
    "leases.coordination.k8s.io": simple.LEASES,
    "priorityclasses.scheduling.k8s.io": simple.PRIORITY_CLASSES,
}


def printer_of(resource: str) -> Printer:
    """NAME and AGE for what has no printer of its own."""
    return PRINTERS.get(resource, simple.DEFAULT)

"""Rows of `kubectl get`: one small pure printer per kind. Adding one is a line in `PRINTERS`."""

from __future__ import annotations

from typing import Any

import msgspec

from actors.api.clock import Millis
from actors.api.conversion import to_stored
from actors.api.crd.kinds import CustomKind
from actors.api.kinds import Kind
from actors.gateway.tables import (
    access,
    autoscalers,
    custom,
    deployments,
    devices,
    events,
    jobs,
    metrics,
    networking,
    nodes,
    pods,
    policy,
    replicasets,
    services,
    simple,
    storage,
    workloads,
)
from actors.gateway.tables.table import Cell, Printer

PRINTERS: dict[str, Printer] = {
    "pods": pods.PRINTER,
    "nodes": nodes.PRINTER,
    "events": events.PRINTER,
    "services": services.PRINTER,
    "endpoints": services.ENDPOINTS_PRINTER,
    "namespaces": simple.NAMESPACES,
    "componentstatuses": policy.COMPONENTS,
    "configmaps": simple.CONFIG_MAPS,
    "secrets": simple.SECRETS,
    "limitranges": policy.LIMIT_RANGES,
    "resourcequotas": policy.QUOTAS,
    "persistentvolumes": storage.VOLUMES,
    "persistentvolumeclaims": storage.CLAIMS,
    "podtemplates": workloads.TEMPLATES,
    "replicationcontrollers": workloads.CONTROLLERS,
    "customresourcedefinitions.apiextensions.k8s.io": policy.DEFINITIONS,
    "apiservices.apiregistration.k8s.io": policy.API_SERVICES,
    "controllerrevisions.apps": workloads.REVISIONS,
    "daemonsets.apps": workloads.DAEMON_SETS,
    "deployments.apps": deployments.PRINTER,
    "replicasets.apps": replicasets.PRINTER,
    "statefulsets.apps": workloads.STATEFUL_SETS,
    "horizontalpodautoscalers.autoscaling": autoscalers.AUTOSCALERS,
    "cronjobs.batch": workloads.CRON_JOBS,
    "jobs.batch": jobs.PRINTER,
    "certificatesigningrequests.certificates.k8s.io": access.SIGNING_REQUESTS,
    "ingressclasses.networking.k8s.io": networking.INGRESS_CLASSES,
    "ingresses.networking.k8s.io": networking.INGRESSES,
    "ipaddresses.networking.k8s.io": networking.ADDRESSES,
    "networkpolicies.networking.k8s.io": networking.POLICIES,
    "servicecidrs.networking.k8s.io": networking.RANGES,
    "poddisruptionbudgets.policy": policy.BUDGETS,
    "clusterrolebindings.rbac.authorization.k8s.io": access.BINDINGS,
    "clusterroles.rbac.authorization.k8s.io": access.ROLES,
    "rolebindings.rbac.authorization.k8s.io": access.BINDINGS,
    "roles.rbac.authorization.k8s.io": access.ROLES,
    "csidrivers.storage.k8s.io": storage.DRIVERS,
    "csinodes.storage.k8s.io": storage.DRIVER_NODES,
    "csistoragecapacities.storage.k8s.io": storage.CAPACITIES,
    "storageclasses.storage.k8s.io": storage.CLASSES,
    "volumeattachments.storage.k8s.io": storage.ATTACHMENTS,
    "volumeattributesclasses.storage.k8s.io": storage.ATTRIBUTES_CLASSES,
    "mutatingadmissionpolicies.admissionregistration.k8s.io": policy.MUTATING_POLICIES,
    "mutatingadmissionpolicybindings.admissionregistration.k8s.io": policy.POLICY_BINDINGS,
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": policy.WEBHOOKS,
    "validatingadmissionpolicies.admissionregistration.k8s.io": policy.VALIDATING_POLICIES,
    "validatingadmissionpolicybindings.admissionregistration.k8s.io": policy.POLICY_BINDINGS,
    "validatingwebhookconfigurations.admissionregistration.k8s.io": policy.WEBHOOKS,
    "nodes.metrics.k8s.io": metrics.NODES,
    "pods.metrics.k8s.io": metrics.PODS,
    "priorityclasses.scheduling.k8s.io": simple.PRIORITY_CLASSES,
    "leases.coordination.k8s.io": simple.LEASES,
    "runtimeclasses.node.k8s.io": devices.RUNTIME_CLASSES,
    "endpointslices.discovery.k8s.io": networking.SLICES,
    "resourceclaims.resource.k8s.io": devices.CLAIMS,
    "resourceslices.resource.k8s.io": devices.SLICES,
    "flowschemas.flowcontrol.apiserver.k8s.io": policy.FLOW_SCHEMAS,
    "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io": policy.PRIORITY_LEVELS,
}


def printer_of(kind: Kind) -> Printer:
    """NAME and AGE for what has no printer of its own. A view is printed as what it is a view of."""
    if isinstance(kind, CustomKind):
        return custom.printer_of(kind)
    found = PRINTERS.get(kind.storage.resource, simple.DEFAULT)
    return _through(kind, found) if kind.stored_as else found


def _through(view: Kind, printer: Printer) -> Printer:
    def cells(obj: Any, now: Millis) -> tuple[Cell, ...]:
        return printer.cells(msgspec.convert(to_stored(obj, view), printer.shape), now)

    return Printer(printer.columns, dict, cells)

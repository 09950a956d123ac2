"""Rows of the kinds whose tables are a field or two, each with what only a full object shows."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from actors.api.clock import parse_time
from actors.api.conversion import to_view
from actors.api.kinds import SERVED, kind_for, kind_of
from actors.gateway.tables import printer_of

NOW = parse_time("2026-11-23T10:00:00Z")
CREATED = "2026-11-23T09:00:00Z"
TEMPLATE = {
    "metadata": {"labels": {"b": "2", "a": "1"}},
    "spec": {
        "containers": [{"name": "c", "image": "i:1"}, {"name": "d", "image": "j"}],
        "nodeSelector": {"gpu": "yes"},
    },
}
SELECTOR = {"matchLabels": {"a": "1"}}
CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}
CPU_NOW = {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 10, "averageValue": "9m"}}}
QPS = {"type": "Pods", "pods": {"metric": {"name": "q"}, "target": {"type": "AverageValue", "averageValue": "5"}}}
QUEUE = {"type": "External", "external": {"metric": {"name": "m"}, "target": {"averageValue": "2"}}}
BINDING = {
    "roleRef": {"kind": "ClusterRole", "name": "view"},
    "subjects": [
        {"kind": "User", "name": "ann"},
        {"kind": "Group", "name": "dev"},
        {"kind": "ServiceAccount", "namespace": "ns", "name": "sa"},
        {"kind": "User", "name": "bob"},
    ],
}
PORTS = [{"port": 80}, {"name": "any"}, {"port": 81}, {"port": 82}]
POINTS = [{"addresses": ["10.0.0.1", "10.0.0.2"]}, {"addresses": ["10.0.0.3", "10.0.0.4"]}]
CLAIM = {
    "spec": {"volumeName": "v", "storageClassName": "fast", "accessModes": ["ReadWriteMany"], "volumeMode": "Block"},
    "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteMany", "ReadWriteOnce"]},
}
VOLUME = {
    "spec": {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadOnlyMany"],
        "persistentVolumeReclaimPolicy": "Retain",
        "claimRef": {"namespace": "ns", "name": "c"},
    },
    "status": {"phase": "Bound"},
}
SCALER = {
    "spec": {
        "scaleTargetRef": {"kind": "Deployment", "name": "d"},
        "minReplicas": 1,
        "maxReplicas": 9,
        "metrics": [CPU, QPS, QUEUE],
    },
    "status": {"currentReplicas": 3, "currentMetrics": [CPU_NOW]},
}
LIMITED = {"nominalConcurrencyShares": 30, "limitResponse": {"queuing": {"queues": 64, "handSize": 6}}}
ROWS: list[tuple[str, dict[str, Any], list[Any]]] = [
    ("statefulsets.apps", {"spec": {"replicas": 3, "template": TEMPLATE}, "status": {"readyReplicas": 1}},
     ["x", "1/3", "60m", "c,d", "i:1,j"]),
    ("daemonsets.apps", {"spec": {"template": TEMPLATE, "selector": SELECTOR}, "status": {"desiredNumberScheduled": 2, "numberReady": 1}},
     ["x", 2, 0, 1, 0, 0, "gpu=yes", "60m", "c,d", "i:1,j", "a=1"]),
    ("replicationcontrollers", {"spec": {"replicas": 2, "selector": {"a": "1"}, "template": TEMPLATE}, "status": {"replicas": 1}},
     ["x", 2, 1, 0, "60m", "c,d", "i:1,j", "a=1"]),
    ("podtemplates", {"template": TEMPLATE}, ["x", "c,d", "i:1,j", "a=1,b=2"]),
    ("controllerrevisions.apps", {"revision": 4, "metadata": {"ownerReferences": [
        {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "controller": True}]}},
     ["x", "statefulset.apps/web", 4, "60m"]),
    ("cronjobs.batch", {"spec": {"schedule": "* * * * *", "suspend": False, "jobTemplate": {"spec": {"template": TEMPLATE}}},
                        "status": {"active": [{}], "lastScheduleTime": "2026-11-23T09:59:00Z"}},
     ["x", "* * * * *", "<none>", "False", 1, "60s", "60m", "c,d", "i:1,j", "<none>"]),
    ("horizontalpodautoscalers.autoscaling", SCALER,
     ["x", "Deployment/d", "cpu: 10%/80%, <unknown>/5 + 1 more...", 1, 9, 3, "60m"]),
    ("persistentvolumes", VOLUME, ["x", "1Gi", "ROX", "Retain", "Bound", "ns/c", "", "<unset>", "", "60m", "<unset>"]),
    ("persistentvolumeclaims", CLAIM, ["x", "Bound", "v", "1Gi", "RWO,RWX", "fast", "<unset>", "60m", "Block"]),
    ("persistentvolumeclaims", {"spec": {"accessModes": ["ReadWriteOnce"]}, "status": {"phase": "Pending"}},
     ["x", "Pending", "", "", "", "", "<unset>", "60m", "<unset>"]),
    ("storageclasses.storage.k8s.io", {"provisioner": "p", "metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}},
     ["x (default)", "p", "Delete", "Immediate", False, "60m"]),
    ("csidrivers.storage.k8s.io", {"spec": {"attachRequired": False, "volumeLifecycleModes": ["Persistent", "Ephemeral"], "tokenRequests": [{"audience": "a"}]}},
     ["x", False, False, False, "a", False, "Persistent,Ephemeral", "60m"]),
    ("csinodes.storage.k8s.io", {"spec": {"drivers": [{}, {}]}}, ["x", 2, "60m"]),
    ("volumeattachments.storage.k8s.io", {"spec": {"attacher": "a", "nodeName": "n", "source": {"persistentVolumeName": "v"}}, "status": {"attached": True}},
     ["x", "a", "v", "n", True, "60m"]),
    ("ingresses.networking.k8s.io", {"spec": {"ingressClassName": "nginx", "rules": [{"host": h} for h in "abcd"], "tls": [{}]},
                                     "status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}, {"hostname": "h"}]}}},
     ["x", "nginx", "a,b,c + 1 more...", "1.2.3.4,h", "80, 443", "60m"]),
    ("ingressclasses.networking.k8s.io", {"spec": {"controller": "k", "parameters": {"apiGroup": "g", "kind": "P", "name": "p"}}},
     ["x", "k", "P.g/p", "60m"]),
    ("networkpolicies.networking.k8s.io", {"spec": {"podSelector": {}}}, ["x", "<none>", "60m"]),
    ("ipaddresses.networking.k8s.io", {"spec": {"parentRef": {"resource": "services", "namespace": "ns", "name": "s"}}},
     ["x", "services/ns/s"]),
    ("servicecidrs.networking.k8s.io", {"spec": {"cidrs": ["10.0.0.0/8", "fd00::/8"]}}, ["x", "10.0.0.0/8,fd00::/8", "60m"]),
    ("endpointslices.discovery.k8s.io", {"addressType": "IPv4", "ports": PORTS, "endpoints": POINTS},
     ["x", "IPv4", "80,*,81 + 1 more...", "10.0.0.1,10.0.0.2,10.0.0.3 + 1 more...", "60m"]),
    ("poddisruptionbudgets.policy", {"spec": {"minAvailable": "50%"}, "status": {"disruptionsAllowed": 2}},
     ["x", "50%", "N/A", 2, "60m"]),
    ("resourcequotas", {"status": {"hard": {"pods": "9", "limits.cpu": "2", "cpu": "1"}, "used": {"cpu": "500m"}}},
     ["x", "cpu: 500m/1, pods: 0/9", "limits.cpu: 0/2", "60m"]),
    ("limitranges", {}, ["x", CREATED]),
    ("customresourcedefinitions.apiextensions.k8s.io", {}, ["x", CREATED]),
    ("roles.rbac.authorization.k8s.io", {}, ["x", CREATED]),
    ("rolebindings.rbac.authorization.k8s.io", BINDING, ["x", "ClusterRole/view", "60m", "ann, bob", "dev", "ns/sa"]),
    ("certificatesigningrequests.certificates.k8s.io",
     {"spec": {"signerName": "s/x", "username": "ann", "expirationSeconds": 3600}, "status": {"conditions": [{"type": "Approved"}], "certificate": "aGk="}},
     ["x", "60m", "s/x", "ann", "60m", "Approved,Issued"]),
    ("certificatesigningrequests.certificates.k8s.io", {"spec": {"signerName": "s/x"}}, ["x", "60m", "s/x", "", "<none>", "Pending"]),
    ("validatingwebhookconfigurations.admissionregistration.k8s.io", {"webhooks": [{}, {}]}, ["x", 2, "60m"]),
    ("validatingadmissionpolicies.admissionregistration.k8s.io", {"spec": {"validations": [{}], "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}}},
     ["x", 1, "v1/ConfigMap", "60m"]),
    ("mutatingadmissionpolicybindings.admissionregistration.k8s.io", {"spec": {"policyName": "p", "paramRef": {"namespace": "ns", "name": "c"}}},
     ["x", "p", "ns/c", "60m"]),
    ("apiservices.apiregistration.k8s.io", {"spec": {"service": {"namespace": "ns", "name": "s"}}, "status": {"conditions": [{"type": "Available", "status": "False", "reason": "Missing"}]}},
     ["x", "ns/s", "False (Missing)", "60m"]),
    ("runtimeclasses.node.k8s.io", {"handler": "runc"}, ["x", "runc", "60m"]),
    ("resourceclaims.resource.k8s.io", {"status": {"allocation": {}, "reservedFor": [{}]}}, ["x", "allocated,reserved", "60m"]),
    ("resourceclaims.resource.k8s.io", {}, ["x", "pending", "60m"]),
    ("resourceslices.resource.k8s.io", {"spec": {"nodeName": "n", "driver": "d", "pool": {"name": "p"}}}, ["x", "n", "d", "p", "60m"]),
    ("flowschemas.flowcontrol.apiserver.k8s.io", {"spec": {"priorityLevelConfiguration": {"name": "l"}, "matchingPrecedence": 100, "distinguisherMethod": {"type": "ByUser"}}},
     ["x", "l", 100, "ByUser", "60m", "?"]),
    ("prioritylevelconfigurations.flowcontrol.apiserver.k8s.io", {"spec": {"type": "Limited", "limited": LIMITED}},
     ["x", "Limited", 30, 64, 6, "<none>", "60m"]),
]  # fmt: skip


@pytest.mark.parametrize(("resource", "obj", "row"), ROWS, ids=[row[0] for row in ROWS])
def test_a_row(resource: str, obj: dict[str, Any], row: list[Any]) -> None:
    printer = printer_of(kind_of(resource))
    whole = {**obj, "metadata": {"name": "x", "creationTimestamp": CREATED, **obj.get("metadata", {})}}
    found = printer.cells(msgspec.json.decode(json.dumps(whole), type=printer.shape), NOW)
    assert list(found) == row
    assert len(printer.columns) == len(row)


@pytest.mark.parametrize("kind", SERVED, ids=lambda kind: f"{kind.resource}.{kind.version}")
def test_every_kind_prints_an_empty_object(kind: Any) -> None:
    printer = printer_of(kind)
    empty = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": "x"}}
    found = printer.cells(msgspec.json.decode(json.dumps(empty), type=printer.shape), NOW)
    assert "x" in found and len(found) == len(printer.columns)


def test_a_view_is_printed_as_what_it_is_a_view_of() -> None:
    view = kind_for("autoscaling/v1", "HorizontalPodAutoscaler")
    assert view is not None
    stored = {"apiVersion": "autoscaling/v2", "kind": view.kind, "metadata": {"name": "x"}, **SCALER}
    assert printer_of(view).cells(to_view(stored, view), NOW) == printer_of(view.storage).cells(stored, NOW)

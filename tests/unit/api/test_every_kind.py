"""Every kind as users write it: a plain manifest is good, keeps its meaning and gets Kubernetes' defaults."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from actors.api.conversion import to_stored
from actors.api.defaulting import default
from actors.api.kinds import KINDS, kind_for
from actors.api.schema import check_object
from actors.api.validation import validate
from actors.api.validation.cron import find_fault

MANIFESTS = list(yaml.safe_load_all((Path(__file__).parents[2] / "manifests/every_kind.yaml").read_text()))
#: Kinds that have tests of their own.
ELSEWHERE = {"Namespace", "Node", "Pod", "Deployment", "ReplicaSet", "Job"}


def stored(manifest: dict[str, Any]) -> dict[str, Any]:
    kind = kind_for(manifest["apiVersion"], manifest["kind"])
    assert kind is not None
    return default(to_stored(copy.deepcopy(manifest), kind))


def sample(kind: str) -> dict[str, Any]:
    return copy.deepcopy(next(stored(manifest) for manifest in MANIFESTS if manifest["kind"] == kind))


def put(obj: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """`a.0.b`; None takes away."""
    *way, last = path.split(".")
    at: Any = obj
    for step in way:
        at = at[int(step)] if isinstance(at, list) else at.setdefault(step, {})
    if value is None:
        del at[last]
    else:
        at[int(last) if isinstance(at, list) else last] = value
    return obj


def test_every_kind_has_a_manifest() -> None:
    assert {kind.kind for kind in KINDS} - ELSEWHERE == {manifest["kind"] for manifest in MANIFESTS} - ELSEWHERE


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda manifest: manifest["kind"])
def test_a_plain_manifest_is_good(manifest: dict[str, Any]) -> None:
    obj = stored(manifest)
    assert validate(obj) == []
    checked = check_object(obj, obj["apiVersion"], obj["kind"])
    assert checked.unknown == () and checked.problems == ()
    assert default(obj) == obj
    assert validate(copy.deepcopy(obj), obj) == []


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("LimitRange", "spec.limits.0.default", {"cpu": "2"}),
        ("LimitRange", "spec.limits.0.defaultRequest", {"cpu": "2"}),
        ("PersistentVolume", "spec.persistentVolumeReclaimPolicy", "Retain"),
        ("PersistentVolume", "spec.hostPath.type", ""),
        ("PersistentVolumeClaim", "spec.volumeMode", "Filesystem"),
        ("ReplicationController", "spec.selector", {"app": "rc"}),
        ("Service", "spec.ports.1.targetPort", 53),
        ("StatefulSet", "spec.updateStrategy", {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}),
        ("StatefulSet", "spec.template.spec.containers.0.imagePullPolicy", "Always"),
        ("StatefulSet", "spec.volumeClaimTemplates.0.spec.volumeMode", "Filesystem"),
        ("DaemonSet", "spec.updateStrategy.rollingUpdate", {"maxUnavailable": 1, "maxSurge": 0}),
        ("CronJob", "spec.concurrencyPolicy", "Allow"),
        ("CronJob", "spec.jobTemplate.spec.template.spec.schedulerName", "default-scheduler"),
        ("HorizontalPodAutoscaler", "spec.minReplicas", 1),
        ("HorizontalPodAutoscaler", "spec.behavior.scaleUp.selectPolicy", "Max"),
        ("HorizontalPodAutoscaler", "spec.behavior.scaleDown.stabilizationWindowSeconds", 60),
        ("NetworkPolicy", "spec.policyTypes", ["Ingress", "Egress"]),
        ("NetworkPolicy", "spec.ingress.0.ports.0.protocol", "TCP"),
        ("StorageClass", "volumeBindingMode", "Immediate"),
        ("CSIDriver", "spec.attachRequired", True),
        ("PriorityClass", "preemptionPolicy", "PreemptLowerPriority"),
        ("RoleBinding", "subjects.0.apiGroup", "rbac.authorization.k8s.io"),
        ("ValidatingWebhookConfiguration", "webhooks.0.timeoutSeconds", 10),
        ("ValidatingWebhookConfiguration", "webhooks.0.clientConfig.service.port", 443),
        ("MutatingWebhookConfiguration", "webhooks.0.reinvocationPolicy", "Never"),
        ("ValidatingAdmissionPolicy", "spec.matchConstraints.resourceRules.0.scope", "*"),
        ("ResourceClaim", "spec.devices.requests.0.exactly.count", 1),
        ("PriorityLevelConfiguration", "spec.limited.limitResponse.queuing.handSize", 8),
    ],
)
def test_defaults(kind: str, path: str, value: Any) -> None:
    at: Any = sample(kind)
    for step in path.split("."):
        at = at[int(step)] if isinstance(at, list) else at[step]
    assert at == value


BAD: list[tuple[str, dict[str, Any], list[str]]] = [
    ("ResourceQuota", {"spec.hard": {"pods": "-1"}, "spec.scopes": ["Nope"]}, ["spec.hard[pods]", "spec.scopes[0]"]),
    ("PersistentVolumeClaim", {"spec.accessModes": [], "spec.resources": None}, ["spec.accessModes", "spec.resources[storage]"]),
    ("PersistentVolume", {"spec.nfs": {"server": "s", "path": "/"}, "spec.capacity": None}, ["spec.capacity", "spec.nfs"]),
    ("Service", {"spec.ports": [{"port": 0, "protocol": "X"}, {"name": "A", "port": 1, "protocol": "TCP", "nodePort": 5}]},
     ["spec.ports[0].port", "spec.ports[0].protocol", "spec.ports[1].name", "spec.ports[0].name", "spec.ports[1].nodePort"]),
    ("Service", {"spec.type": "Nope", "spec.ports": [], "spec.externalIPs": ["x"]}, ["spec.externalIPs[0]", "spec.type", "spec.ports"]),
    ("Endpoints", {"subsets.0.addresses": [{"ip": "x"}], "subsets.0.ports": [{"port": 70000, "protocol": "TCP"}]},
     ["subsets[0].addresses[0].ip", "subsets[0].ports[0].port"]),
    ("StatefulSet", {"spec.replicas": -1, "spec.podManagementPolicy": "x", "spec.selector": {"matchLabels": {"a": "b"}}},
     ["spec.replicas", "spec.podManagementPolicy", "spec.template.metadata.labels"]),
    ("StatefulSet", {"spec.updateStrategy": {"type": "Foo"}}, ["spec.updateStrategy"]),
    ("StatefulSet", {"spec.updateStrategy": {"type": ""}}, ["spec.updateStrategy"]),
    ("StatefulSet", {"spec.updateStrategy": {"type": "OnDelete", "rollingUpdate": {"partition": 1}}}, ["spec.updateStrategy.rollingUpdate"]),
    ("StatefulSet", {"spec.updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": -1, "maxUnavailable": 0}}},
     ["spec.updateStrategy.rollingUpdate.partition", "spec.updateStrategy.rollingUpdate.maxUnavailable"]),
    ("StatefulSet", {"spec.selector": {"matchExpressions": [{"key": "a", "operator": "In"}, {"key": "", "operator": "x"}]}},
     ["spec.selector.matchExpressions[0].values", "spec.selector.matchExpressions[1].key", "spec.selector.matchExpressions[1].operator"]),
    ("DaemonSet", {"spec.template.spec.restartPolicy": "Never", "spec.updateStrategy.rollingUpdate": {"maxUnavailable": "x%"}},
     ["spec.updateStrategy.rollingUpdate.maxUnavailable", "spec.template.spec.restartPolicy"]),
    ("CronJob", {"spec.schedule": "61 * * * *", "spec.concurrencyPolicy": "x", "metadata.name": "n" * 53,
                 "spec.jobTemplate.spec.template.spec.restartPolicy": "Always"},
     ["spec.concurrencyPolicy", "spec.schedule", "metadata.name", "spec.jobTemplate.spec.template.spec.restartPolicy"]),
    ("HorizontalPodAutoscaler", {"spec.minReplicas": 9, "spec.scaleTargetRef": {"kind": "", "name": ""}, "spec.metrics": [{"type": "Pods"}]},
     ["spec.metrics[0].pods", "spec.scaleTargetRef.kind", "spec.scaleTargetRef.name", "spec.maxReplicas"]),
    ("PodDisruptionBudget", {"spec.maxUnavailable": 1}, ["spec"]),
    ("Ingress", {"spec.rules.0.http.paths": [{"path": "x", "backend": {}}], "spec.tls": [{"hosts": ["1.2.3.4"]}]},
     ["spec.rules[0].http.paths[0].backend", "spec.rules[0].http.paths[0].pathType", "spec.tls[0].hosts[0]"]),
    ("Ingress", {"spec.rules": None}, ["spec"]),
    ("NetworkPolicy", {"spec.policyTypes": ["x"], "spec.ingress.0.from": [{}, {"ipBlock": {"cidr": "1.2.3.4"}}]},
     ["spec.ingress[0].from[0]", "spec.ingress[0].from[1].ipBlock.cidr", "spec.policyTypes[0]"]),
    ("EndpointSlice", {"addressType": "IPv6", "ports": [{"port": 0, "protocol": "TCP"}]}, ["ports[0].port", "endpoints[0].addresses[0]"]),
    ("StorageClass", {"provisioner": "", "reclaimPolicy": "x"}, ["provisioner", "reclaimPolicy"]),
    ("VolumeAttributesClass", {"driverName": "", "parameters": {}}, ["driverName", "parameters"]),
    ("PriorityClass", {"value": 2_000_000_000, "preemptionPolicy": "x"}, ["preemptionPolicy", "value"]),
    ("Lease", {"spec.leaseDurationSeconds": 0, "spec.leaseTransitions": -1}, ["spec.leaseDurationSeconds", "spec.leaseTransitions"]),
    ("ValidatingWebhookConfiguration", {"webhooks.0.name": "short", "webhooks.0.sideEffects": "Some", "webhooks.0.timeoutSeconds": 31,
                                        "webhooks.0.clientConfig": {"url": "http://x"}, "webhooks.0.rules.0.operations": []},
     ["webhooks[0].rules[0].operations", "webhooks[0].sideEffects", "webhooks[0].timeoutSeconds", "webhooks[0].name", "webhooks[0].clientConfig.url"]),
    ("ValidatingAdmissionPolicy", {"spec.validations": [], "spec.failurePolicy": "x"}, ["spec.failurePolicy", "spec.validations"]),
    ("ValidatingAdmissionPolicyBinding", {"spec.validationActions": ["Deny", "Warn"], "spec.policyName": ""},
     ["spec.policyName", "spec.validationActions"]),
    ("APIService", {"spec.groupPriorityMinimum": 0, "spec.version": "v2"}, ["spec.groupPriorityMinimum", "metadata.name"]),
    ("RuntimeClass", {"handler": "A_"}, ["handler"]),
    ("ResourceClaim", {"spec.devices.requests": [{"name": "gpu"}]}, ["spec.devices.requests[0]"]),
    ("PriorityLevelConfiguration", {"spec.type": "Exempt"}, ["spec.limited"]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "changes", "fields"), BAD, ids=[row[0] for row in BAD])
def test_every_bad_field_is_told_at_once(kind: str, changes: dict[str, Any], fields: list[str]) -> None:
    obj = sample(kind)
    for path, value in changes.items():
        put(obj, path, value)
    causes = validate(obj)
    assert [cause.field for cause in causes] == fields
    assert all(cause.message and cause.reason.startswith("FieldValue") for cause in causes)


@pytest.mark.parametrize(
    ("kind", "path", "value", "field"),
    [
        ("StorageClass", "provisioner", "other", "provisioner"),
        ("StatefulSet", "spec.serviceName", "other", "spec"),
        ("StatefulSet", "spec.replicas", 5, None),
        ("DaemonSet", "spec.selector", {"matchLabels": {"app": "agent"}, "matchExpressions": []}, "spec.selector"),
        ("CertificateSigningRequest", "spec.usages", ["server auth"], "spec"),
        ("RuntimeClass", "handler", "kata", "handler"),
        ("PriorityClass", "value", 5, "value"),
        ("EndpointSlice", "addressType", "FQDN", "addressType"),
        ("PersistentVolume", "spec.hostPath.path", "/other", "spec.persistentvolumesource"),
        ("PersistentVolume", "spec.claimRef", {"name": "c"}, None),
        ("PersistentVolumeClaim", "spec.accessModes", ["ReadOnlyMany"], "spec"),
        ("PersistentVolumeClaim", "spec.volumeName", "v", None),
        ("PersistentVolumeClaim", "spec.resources.requests.storage", "2Gi", "spec"),
        ("CronJob", "spec.schedule", "@hourly", None),
    ],
)
def test_what_may_change(kind: str, path: str, value: Any, field: str | None) -> None:
    old = sample(kind)
    causes = validate(put(sample(kind), path, value), old)
    assert [cause.field for cause in causes] == ([field] if field else [])


@pytest.mark.parametrize(
    "schedule", ["* * * * *", "0 0 1 1 0", "*/15 0-6/2,12 ? * mon-fri", "@daily", "@every 1h30m", "5 4 * JAN sun"]
)
def test_schedules_that_can_be_read(schedule: str) -> None:
    assert find_fault(schedule) == ""


@pytest.mark.parametrize(
    "schedule",
    ["", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 7", "5-1 * * * *",
     "*/0 * * * *", "*/x * * * *", "a * * * *", "1- * * * *", "@reboot", "@every", "@every x", "TZ=UTC * * * * *", "٣ * * * *"],
)  # fmt: skip
def test_schedules_that_cannot(schedule: str) -> None:
    assert find_fault(schedule)


@pytest.mark.parametrize(
    ("kind", "data", "fields"),
    [
        ("kubernetes.io/tls", {"tls.crt": "aGk="}, ["data[tls.key]"]),
        ("kubernetes.io/dockerconfigjson", {}, ["data[.dockerconfigjson]"]),
        ("kubernetes.io/basic-auth", {"username": "aGk="}, []),
        ("kubernetes.io/service-account-token", {}, ["metadata.annotations[kubernetes.io/service-account.name]"]),
        ("example.com/anything", {}, []),
    ],
)
def test_secrets_hold_what_their_type_needs(kind: str, data: dict[str, str], fields: list[str]) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "type": kind, "data": data}
    assert [cause.field for cause in validate(secret)] == fields

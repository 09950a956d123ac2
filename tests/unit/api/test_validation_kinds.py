"""Kinds in depth: what holds between the fields of storage, networking, scaling, events, config maps and secrets."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from test_every_kind import put, sample

from actors.api.defaulting import default
from actors.api.validation import validate

R, P = "spec.rules.0.http.paths.0", "spec.rules[0].http.paths[0]"
CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization"}}}


@pytest.mark.parametrize(
    ("kind", "changes", "field", "words"),
    [
        ("PersistentVolumeClaim", {"spec.accessModes": ["ReadWriteOnce", "ReadWriteOncePod"]}, "spec.accessModes", "may not use ReadWriteOncePod"),
        ("PersistentVolumeClaim", {"spec.resources.requests.storage": "0"}, "spec.resources[storage]", "must be greater than zero"),
        ("PersistentVolumeClaim", {"spec.dataSource": {"kind": "", "name": "x"}}, "spec.dataSource.kind", "Required"),
        ("PersistentVolumeClaim", {"spec.accessModes": ["Any"]}, "spec.accessModes", "Unsupported value"),
        ("VolumeAttachment", {"spec.source": {}}, "spec.source", "must specify exactly one of"),
        ("CSIStorageCapacity", {"capacity": "-1"}, "capacity", "must be greater than or equal to 0"),
        ("ResourceSlice", {"spec.pool.resourceSliceCount": 0}, "spec.pool.resourceSliceCount", "must be greater than 0"),
        ("ResourceClaim", {"spec.devices.constraints": [{"requests": ["other"]}]}, "spec.devices.constraints[0].requests[0]", "must be the name of a request"),
        ("DeviceClass", {"spec.selectors": [{"cel": {"expression": "device.x =="}}]}, "spec.selectors[0].cel.expression", "compilation failed"),
        ("DeviceClass", {"spec.selectors": [{}]}, "spec.selectors[0].cel", "Required"),
        ("CronJob", {"spec.timeZone": "Mars/Olympus"}, "spec.timeZone", "unknown time zone"),
        ("RoleBinding", {"subjects": [{"kind": "ServiceAccount", "name": "A_"}]}, "subjects[0].name", "RFC 1123"),
        ("CertificateSigningRequest", {"spec.usages": ["magic"]}, "spec.usages[0]", "Unsupported value"),
        ("PersistentVolume", {"spec.capacity": {"storage": "-1"}}, "spec.capacity[storage]", "must be greater than zero"),
        ("PersistentVolume", {"spec.hostPath": None, "spec.local": {"path": "/x"}}, "metadata.annotations", "Local volume requires node affinity"),
        ("PersistentVolume", {"spec.hostPath.path": "/a/../b"}, "spec.hostPath.path", "must not contain '..'"),
        ("PersistentVolume", {"spec.nodeAffinity": {"required": {"nodeSelectorTerms": []}}}, "spec.nodeAffinity.required.nodeSelectorTerms", "Required"),
        ("Ingress", {f"{R}.path": "a", f"{R}.pathType": "Prefix"}, f"{P}.path", "must be an absolute path"),
        ("Ingress", {f"{R}.path": "/a//b", f"{R}.pathType": "Exact"}, f"{P}.path", "must not contain '//'"),
        ("Ingress", {f"{R}.path": "/a/..", f"{R}.pathType": "Exact"}, f"{P}.path", "cannot end with '/..'"),
        ("Ingress", {"metadata.annotations": {"kubernetes.io/ingress.class": "a"}, "spec.ingressClassName": "b"},
         "metadata.annotations[kubernetes.io/ingress.class]", "can not be set when the class field is also set"),
        ("NetworkPolicy", {"spec.ingress.0.from": [{"ipBlock": {"cidr": "10.0.0.0/24", "except": ["10.0.1.0/28"]}}]},
         "spec.ingress[0].from[0].ipBlock.except[0]", "must be a strict subset of `cidr`"),
        ("NetworkPolicy", {"spec.ingress.0.ports": [{"port": 80, "endPort": 79, "protocol": "TCP"}]}, "spec.ingress[0].ports[0].endPort", "greater than or equal to `port`"),
        ("NetworkPolicy", {"spec.ingress.0.ports": [{"port": "web", "endPort": 79, "protocol": "TCP"}]}, "spec.ingress[0].ports[0].endPort", "non-numeric"),
        ("Endpoints", {"subsets": [{"ports": [{"port": 1, "protocol": "TCP"}]}]}, "subsets[0]", "must specify `addresses`"),
        ("Endpoints", {"subsets.0.addresses": [{"ip": "127.0.0.1"}]}, "subsets[0].addresses[0].ip", "loopback range"),
        ("EndpointSlice", {"endpoints": [{"addresses": ["10.0.0.1"] * 101}]}, "endpoints[0].addresses", "Too many: 101: must have at most 100 items"),
        ("EndpointSlice", {"endpoints": [{"addresses": ["169.254.1.1"]}]}, "endpoints[0].addresses[0]", "link-local range"),
        ("EndpointSlice", {"ports": [{"name": "a", "protocol": "TCP"}, {"name": "a", "protocol": "TCP"}]}, "ports[1].name", "Duplicate"),
        ("ServiceCIDR", {"spec.cidrs": ["10.0.0.0/24", "10.1.0.0/24"]}, "spec.cidrs", "no more than one IP for each IP family"),
        ("ServiceCIDR", {"spec.cidrs": ["10.0.0.1/24"]}, "spec.cidrs[0]", 'must be in canonical form ("10.0.0.0/24")'),
        ("IPAddress", {"metadata.name": "2001:DB8::1"}, "metadata.name", 'must be in canonical form ("2001:db8::1")'),
        ("IPAddress", {"metadata.name": "x"}, "metadata.name", "must be a valid IP address"),
        ("HorizontalPodAutoscaler", {"spec.minReplicas": 0}, "spec.minReplicas", "must be greater than or equal to 1"),
        ("HorizontalPodAutoscaler", {"spec.metrics": [CPU]}, "spec.metrics[0].resource.target.averageUtilization", "must set either a target raw value or a target utilization"),
        ("HorizontalPodAutoscaler", {"spec.metrics": [{"type": "Pods", "pods": {"metric": {"name": "m"}, "target": {"type": "AverageValue"}}}]},
         "spec.metrics[0].pods.target.averageValue", "must specify a positive target averageValue"),
        ("PodDisruptionBudget", {"spec.minAvailable": "101%"}, "spec.minAvailable", "must not be greater than 100%"),
        ("DaemonSet", {"spec.updateStrategy.rollingUpdate": {"maxUnavailable": 0, "maxSurge": 0}}, "spec.updateStrategy.rollingUpdate.maxUnavailable", "cannot be 0 when maxSurge is 0"),
        ("DaemonSet", {"spec.updateStrategy.rollingUpdate": {"maxUnavailable": 1, "maxSurge": 1}}, "spec.updateStrategy.rollingUpdate.maxSurge", "may not be set"),
        ("DaemonSet", {"spec.updateStrategy.rollingUpdate": {"maxUnavailable": "some"}}, "spec.updateStrategy.rollingUpdate.maxUnavailable", "must be"),
        ("StatefulSet", {"spec.updateStrategy.rollingUpdate": {"maxUnavailable": -1}}, "spec.updateStrategy.rollingUpdate.maxUnavailable", "must be"),
        ("StatefulSet", {"spec.updateStrategy.rollingUpdate": {"maxUnavailable": "1"}}, "spec.updateStrategy.rollingUpdate.maxUnavailable", "must be"),
        ("LimitRange", {"spec.limits": [{"type": "Pod", "default": {"cpu": "1"}}]}, "spec.limits[0].default", "may not be specified when `type` is 'Pod'"),
        ("LimitRange", {"spec.limits": [{"type": "Container", "min": {"cpu": "2"}, "max": {"cpu": "1"}}]}, "spec.limits[0].min[cpu]", "min value 2 is greater than max value 1"),
        ("LimitRange", {"spec.limits": [{"type": "Container", "maxLimitRequestRatio": {"cpu": "0.5"}}]}, "spec.limits[0].maxLimitRequestRatio[cpu]", "is less than 1"),
        ("LimitRange", {"spec.limits": [{"type": "PersistentVolumeClaim"}]}, "spec.limits[0].limits", "either minimum or maximum storage value"),
        ("LimitRange", {"spec.limits": [{"type": "Pod"}, {"type": "Pod"}]}, "spec.limits[1].type", "Duplicate"),
        ("ResourceQuota", {"spec.hard": {"pods": "1.5"}}, "spec.hard[pods]", "must be an integer"),
        ("Event", {"action": None}, "action", "Required"),
        ("Event", {"reportingInstance": "x" * 129}, "reportingInstance", "can have at most 128 characters"),
        ("Event", {"series": {"count": 1, "lastObservedTime": "2026-11-23T10:00:00.000000Z"}}, "series.count", "should be at least 2"),
        ("Event", {"metadata.namespace": "a", "eventTime": None, "involvedObject.namespace": "b"}, "involvedObject.namespace", "does not match event.namespace"),
    ],
)  # fmt: skip
def test_what_cannot_be(kind: str, changes: dict[str, Any], field: str, words: str) -> None:
    obj = sample(kind)
    for path, value in changes.items():
        put(obj, path, value)
    found = [(cause.field, cause.message) for cause in validate(obj)]
    assert [cause[0] for cause in found] == [field]
    assert words in found[0][1]


@pytest.mark.parametrize(
    ("kind", "old", "changes", "field"),
    [
        ("PersistentVolumeClaim", {"status.phase": "Bound"}, {"spec.resources.requests.storage": "2Gi"}, None),
        ("PersistentVolumeClaim", {"status.phase": "Bound"}, {"spec.resources.requests.storage": "1Mi"}, "spec.resources.requests.storage"),
        ("PersistentVolumeClaim", {"status.phase": "Bound"}, {"spec.storageClassName": "other"}, "spec"),
        ("PersistentVolumeClaim", {"spec.storageClassName": None}, {"spec.storageClassName": "late"}, None),
        ("PersistentVolume", {}, {"spec.volumeMode": "Block"}, "spec.volumeMode"),
        ("ServiceCIDR", {"spec.cidrs": ["10.0.0.0/24"]}, {"spec.cidrs": ["10.0.0.0/24", "fd00::/112"]}, None),
        ("ServiceCIDR", {"spec.cidrs": ["10.0.0.0/24"]}, {"spec.cidrs": ["10.1.0.0/24"]}, "spec.cidrs"),
        ("ControllerRevision", {}, {"data": {"other": 1}}, "data"),
        ("ControllerRevision", {}, {"revision": 9}, None),
        ("ResourceQuota", {}, {"spec.scopes": ["Terminating"]}, "spec.scopes"),
    ],
)  # fmt: skip
def test_what_may_change(kind: str, old: dict[str, Any], changes: dict[str, Any], field: str | None) -> None:
    before, after = sample(kind), sample(kind)
    for path, value in old.items():
        put(before, path, value)
        put(after, path, value)
    for path, value in changes.items():
        put(after, path, value)
    assert [cause.field for cause in validate(after, before)] == ([field] if field else [])


def files(kind: str = "ConfigMap", **fields: Any) -> dict[str, Any]:
    return default({"apiVersion": "v1", "kind": kind, "metadata": {"name": "x"}, **fields})


@pytest.mark.parametrize(
    ("obj", "old", "fields"),
    [
        (files(data={"": "x"}), None, ["data[]"]),
        (files(data={"a": "x"}, binaryData={"a": "eA=="}), None, ["data[a]"]),
        (files(data={"a": "x" * (1 << 20)}), None, []),
        (files(data={"a": "x" * (1 << 20), "b": "y"}), None, [""]),
        (files(data={"a": "y"}, immutable=True), files(data={"a": "x"}, immutable=True), ["data"]),
        (files(data={"a": "x"}), files(data={"a": "x"}, immutable=True), ["immutable"]),
        (files(data={"a": "y"}, immutable=True), files(data={"a": "x"}), []),
        (files("Secret", data={"a": base64.b64encode(b"x" * (1 << 20)).decode()}), None, []),
        (files("Secret", type="kubernetes.io/dockerconfigjson", data={".dockerconfigjson": "eA=="}), None, ["data[.dockerconfigjson]"]),
        (files("Secret", type="kubernetes.io/tls", data={}), None, ["data[tls.crt]", "data[tls.key]"]),
        (files("Secret", type="b"), files("Secret", type="a"), ["type"]),
    ],
)  # fmt: skip
def test_config_maps_and_secrets(obj: dict[str, Any], old: dict[str, Any] | None, fields: list[str]) -> None:
    assert [cause.field for cause in validate(obj, old)] == fields


def test_texts_of_a_secret_win_over_its_data() -> None:
    made = files("Secret", data={"a": "eA==", "b": "eQ=="}, stringData={"a": "new"})
    assert (made["data"], "stringData" in made) == ({"a": "bmV3", "b": "eQ=="}, False)


def test_a_deployment_has_time_to_become_ready() -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {
        "selector": {"matchLabels": {"a": "b"}},
        "template": template,
        "minReadySeconds": 600,
        "revisionHistoryLimit": -1,
    }
    found = validate(default({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec}))
    assert [cause.field for cause in found] == ["spec.revisionHistoryLimit", "spec.progressDeadlineSeconds"]

"""Defaults that depend on something, of kinds that make no pods (pkg/apis/*/v1/defaults.go)."""

from __future__ import annotations

import base64
from typing import Any

from actors.api.codec import Object
from actors.api.defaulting.parts import copied, dicts, fill, section

_RBAC = "rbac.authorization.k8s.io"
_CLIENT_IP_SECONDS = 10_800
_CPU_PERCENT = 80
_ALL_IN_15_SECONDS = {"type": "Percent", "value": 100, "periodSeconds": 15}
_SCALING_RULES: dict[str, dict[str, Any]] = {
    "scaleUp": {
        "stabilizationWindowSeconds": 0,
        "selectPolicy": "Max",
        "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}, _ALL_IN_15_SECONDS],
    },
    "scaleDown": {"selectPolicy": "Max", "policies": [_ALL_IN_15_SECONDS]},
}


def default_namespace(namespace: Object) -> None:
    section(namespace, "spec")
    fill(section(namespace, "status"), {"phase": "Active"})
    metadata = section(namespace, "metadata")
    if metadata.get("name"):
        section(metadata, "labels")["kubernetes.io/metadata.name"] = metadata["name"]


def default_secret(secret: Object) -> None:
    fill(secret, {"type": "Opaque"})
    texts = secret.pop("stringData", None)
    if isinstance(texts, dict) and texts:
        encoded = {name: base64.b64encode(str(text).encode()).decode() for name, text in texts.items()}
        section(secret, "data").update(encoded)


def default_service(service: Object) -> None:
    spec = section(service, "spec")
    kind = spec.get("type")
    if kind != "ExternalName":
        fill(spec, {"internalTrafficPolicy": "Cluster"})
    if kind in ("NodePort", "LoadBalancer") or (kind == "ClusterIP" and spec.get("externalIPs")):
        fill(spec, {"externalTrafficPolicy": "Cluster"})
    if kind == "LoadBalancer":
        fill(spec, {"allocateLoadBalancerNodePorts": True})
        for point in dicts(section(section(service, "status"), "loadBalancer").get("ingress")):
            if point.get("ip"):
                fill(point, {"ipMode": "VIP"})
    if spec.get("sessionAffinity") == "None":
        spec.pop("sessionAffinityConfig", None)
    if spec.get("sessionAffinity") == "ClientIP":
        client = section(section(spec, "sessionAffinityConfig"), "clientIP")
        fill(client, {"timeoutSeconds": _CLIENT_IP_SECONDS})
    for port in dicts(spec.get("ports")):
        fill(port, {"protocol": "TCP", "targetPort": port.get("port")})


def default_limit_range(limits: Object) -> None:
    """A container's default limit is its maximum, its default request its default limit, else its minimum."""
    for item in dicts(section(limits, "spec").get("limits")):
        if item.get("type") != "Container":
            continue
        for name, sources in (("default", ("max",)), ("defaultRequest", ("default", "min"))):
            for source in sources:
                if isinstance(item.get(source), dict) and item[source]:
                    fill(section(item, name), item[source])


def default_network_policy(policy: Object) -> None:
    spec = section(policy, "spec")
    fill(spec, {"policyTypes": ["Ingress", *(["Egress"] if spec.get("egress") else [])]})


def default_role_binding(binding: Object) -> None:
    for subject in dicts(binding.get("subjects")):
        if subject.get("kind") in ("User", "Group"):
            fill(subject, {"apiGroup": _RBAC})


def default_autoscaler(scaler: Object) -> None:
    """Without a metric: 80 % of the CPU; a direction that is described at all gets its other rules."""
    spec = section(scaler, "spec")
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": _CPU_PERCENT}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    behavior = spec.get("behavior")
    if isinstance(behavior, dict):
        for direction, rules in _SCALING_RULES.items():
            fill(section(behavior, direction), copied(rules))


def default_resource_claim(claim: Object) -> None:
    _default_claim_spec(section(claim, "spec"))


def default_resource_claim_template(template: Object) -> None:
    _default_claim_spec(section(section(template, "spec"), "spec"))


def _default_claim_spec(spec: Object) -> None:
    devices = spec.get("devices")
    for request in dicts(devices.get("requests") if isinstance(devices, dict) else None):
        exactly = request.get("exactly")
        for part in (exactly, *dicts(request.get("firstAvailable"))):
            if isinstance(part, dict):
                fill(part, {"allocationMode": "ExactCount"})
                if part["allocationMode"] == "ExactCount":
                    fill(part, {"count": 1})
                for toleration in dicts(part.get("tolerations")):
                    fill(toleration, {"operator": "Equal"})


def default_priority_level(level: Object) -> None:
    spec = section(level, "spec")
    if spec.get("type") == "Exempt":
        fill(section(spec, "exempt"), {"nominalConcurrencyShares": 0, "lendablePercent": 0})
    limited = spec.get("limited")
    if isinstance(limited, dict):
        fill(limited, {"nominalConcurrencyShares": 30, "lendablePercent": 0})
        response = section(limited, "limitResponse")
        if response.get("type") == "Queue":
            fill(section(response, "queuing"), {"queues": 64, "handSize": 8, "queueLengthLimit": 50})

"""Pods in depth: every part of a spec that cannot be is named, in pods and in templates alike."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from actors.api.defaulting import default
from actors.api.validation import validate


def causes(spec: dict[str, Any]) -> list[tuple[str, str]]:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": copy.deepcopy(spec)}
    return [(cause.field, cause.message) for cause in validate(default(pod))]


def pod(**spec: Any) -> dict[str, Any]:
    return {"containers": [{"name": "c", "image": "i"}], **spec}


def container(**fields: Any) -> dict[str, Any]:
    return pod(containers=[{"name": "c", "image": "i", **fields}], volumes=[{"name": "v", "emptyDir": {}}])


C = "spec.containers[0]"
EXEC = {"exec": {"command": ["x"]}}
GATES = [{"name": "a"}, {"name": "a"}]
SPREAD = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
TERM = {"labelSelector": {"matchLabels": {"a": "b"}}}


@pytest.mark.parametrize(
    "spec",
    [
        container(livenessProbe=EXEC, readinessProbe={"httpGet": {"port": "http"}}, startupProbe={"grpc": {"port": 1}}),
        container(lifecycle={"preStop": {"sleep": {"seconds": 1}}, "postStart": {"httpGet": {"port": 80}}}),
        container(env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a/b']"}}}]),
        container(env=[{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}]),
        container(envFrom=[{"configMapRef": {"name": "c"}, "prefix": "A_"}]),
        container(ports=[{"containerPort": 80, "name": "http"}, {"containerPort": 81, "name": "web-1"}]),
        container(securityContext={"runAsUser": 0, "seccompProfile": {"type": "RuntimeDefault"}}),
        pod(dnsPolicy="None", dnsConfig={"nameservers": ["10.0.0.1"]}),
        pod(topologySpreadConstraints=[SPREAD, {**SPREAD, "whenUnsatisfiable": "ScheduleAnyway"}]),
        pod(initContainers=[{"name": "s", "image": "i", "restartPolicy": "Always", "livenessProbe": EXEC}]),
        pod(volumes=[{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]),
        pod(volumes=[{"name": "v", "downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]}}]),
        pod(volumes=[{"name": "v", "hostPath": {"path": "/x", "type": "DirectoryOrCreate"}}]),
    ],
)  # fmt: skip
def test_what_can_be(spec: dict[str, Any]) -> None:
    assert causes(spec) == []


@pytest.mark.parametrize(
    ("spec", "field", "words"),
    [
        (container(livenessProbe={}), f"{C}.livenessProbe", "must specify a handler type"),
        (container(livenessProbe={**EXEC, "tcpSocket": {"port": 1}}), f"{C}.livenessProbe.tcpSocket", "may not specify more than 1 handler type"),
        (container(livenessProbe={**EXEC, "successThreshold": 2}), f"{C}.livenessProbe.successThreshold", "must be 1"),
        (container(livenessProbe={**EXEC, "periodSeconds": -1}), f"{C}.livenessProbe.periodSeconds", "greater than or equal to 0"),
        (container(readinessProbe={**EXEC, "terminationGracePeriodSeconds": 5}), f"{C}.readinessProbe.terminationGracePeriodSeconds", "must not be set"),
        (container(livenessProbe={"httpGet": {"port": 0}}), f"{C}.livenessProbe.httpGet.port", "must be between 1 and 65535"),
        (container(livenessProbe={"httpGet": {"port": 1, "scheme": "FTP"}}), f"{C}.livenessProbe.httpGet.scheme", '"HTTP", "HTTPS"'),
        (container(lifecycle={"preStop": {}}), f"{C}.lifecycle.preStop", "must specify a handler type"),
        (container(env=[{"name": "A", "valueFrom": {}}]), f"{C}.env[0].valueFrom", "must specify one of: `fieldRef`"),
        (container(env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.nope"}}}]), f"{C}.env[0].valueFrom.fieldRef.fieldPath", "field label not supported: spec.nope"),
        (container(env=[{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "x"}}}]), f"{C}.env[0].valueFrom.resourceFieldRef.resource", "Unsupported value"),
        (container(env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "a/b"}}}]), f"{C}.env[0].valueFrom.secretKeyRef.key", "valid config key"),
        (container(envFrom=[{}]), f"{C}.envFrom[0]", "`configMapRef` or `secretRef`"),
        (container(ports=[{"containerPort": 1, "name": "UPPER"}]), f"{C}.ports[0].name", "alpha-numeric"),
        (container(ports=[{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]), f"{C}.ports[1].name", "Duplicate"),
        (container(securityContext={"runAsUser": -1}), f"{C}.securityContext.runAsUser", "between 0 and 2147483647"),
        (container(securityContext={"privileged": True, "allowPrivilegeEscalation": False}), f"{C}.securityContext", "cannot set `allowPrivilegeEscalation`"),
        (container(securityContext={"seccompProfile": {"type": "Localhost"}}), f"{C}.securityContext.seccompProfile.localhostProfile", "must be set when seccomp type is Localhost"),
        (container(volumeMounts=[{"name": "v", "mountPath": "/a", "mountPropagation": "Bidirectional"}]), f"{C}.volumeMounts[0].mountPropagation", "privileged"),
        (container(terminationMessagePolicy="x"), f"{C}.terminationMessagePolicy", "FallbackToLogsOnError"),
        (pod(dnsPolicy="x"), "spec.dnsPolicy", "ClusterFirstWithHostNet"),
        (pod(dnsPolicy="None"), "spec.dnsConfig", "must provide `dnsConfig`"),
        (pod(schedulingGates=GATES), "spec.schedulingGates[1]", "Duplicate"),
        (pod(nodeName="n", schedulingGates=GATES[:1]), "spec.nodeName", "schedulingGates"),
        (pod(topologySpreadConstraints=[{**SPREAD, "maxSkew": 0}]), "spec.topologySpreadConstraints[0].maxSkew", "greater than 0"),
        (pod(topologySpreadConstraints=[SPREAD, SPREAD]), "spec.topologySpreadConstraints[1].{topologyKey, whenUnsatisfiable}", 'Duplicate value: "{zone, DoNotSchedule}"'),
        (pod(affinity={"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [TERM]}}), "spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey", "Required"),
        (pod(affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Gt"}]}]}}}),
         "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].values", "single value"),
        (pod(initContainers=[{"name": "s", "image": "i", "livenessProbe": EXEC}]), "spec.initContainers[0].livenessProbe", "restartPolicy=Always"),
        (pod(hostNetwork=True, containers=[{"name": "c", "image": "i", "ports": [{"containerPort": 1, "hostPort": 2}]}]), f"{C}.ports[0].containerPort", "must match `hostPort`"),
        (pod(hostAliases=[{"ip": "x"}]), "spec.hostAliases[0].ip", "must be a valid IP address"),
        (pod(volumes=[{"name": "v", "secret": {}}]), "spec.volumes[0].secret.secretName", "Required"),
        (pod(volumes=[{"name": "v", "configMap": {"name": "c", "items": [{"key": "k", "path": "../x"}]}}]), "spec.volumes[0].configMap.items[0].path", "must not contain '..'"),
        (pod(volumes=[{"name": "v", "configMap": {"name": "c", "defaultMode": 512}}]), "spec.volumes[0].configMap.defaultMode", "between 0 and 0777"),
        (pod(volumes=[{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 5}}]}}]),
         "spec.volumes[0].projected.sources[0].serviceAccountToken.expirationSeconds", "less than 10 minutes"),
        (pod(volumes=[{"name": "v", "hostPath": {"path": "/x", "type": "Nope"}}]), "spec.volumes[0].hostPath.type", "Unsupported"),
        (pod(volumes=[{"name": "v", "persistentVolumeClaim": {}}]), "spec.volumes[0].persistentVolumeClaim.claimName", "Required"),
    ],
)  # fmt: skip
def test_what_cannot_be(spec: dict[str, Any], field: str, words: str) -> None:
    found = causes(spec)
    assert [cause[0] for cause in found] == [field]
    assert words in found[0][1]


def test_templates_are_held_to_the_same() -> None:
    spec = {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": pod(dnsPolicy="x")},
    }
    made = default({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": spec})
    assert [cause.field for cause in validate(made)] == ["spec.template.spec.dnsPolicy"]


def changes(before: dict[str, Any], **fields: Any) -> list[str]:
    made = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": copy.deepcopy(spec)}
        for spec in (before, {**before, **fields})
    ]
    old, new = (default(pod) for pod in made)
    return [cause.field for cause in validate(new, old)]


def affinity(*values: str) -> dict[str, Any]:
    needs = [{"key": value, "operator": "Exists"} for value in values]
    required = {"nodeSelectorTerms": [{"matchExpressions": needs}]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def test_a_gated_pod_is_aimed_more_closely_and_never_less() -> None:
    gated = pod(schedulingGates=GATES[:1], nodeSelector={"a": "b"}, affinity=affinity("x"))
    assert changes(gated, nodeSelector={"a": "b", "c": "d"}, affinity=affinity("x", "y"), schedulingGates=None) == []
    assert changes(gated, nodeSelector={"c": "d"}) == ["spec.nodeSelector"]
    at = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
    assert changes(gated, affinity=affinity("y")) == [f"{at}[0]"]
    assert changes(gated, affinity=None) == [at]
    assert changes(pod(nodeSelector={"a": "b"}), nodeSelector={"a": "b", "c": "d"}) == ["spec"]


def test_what_a_node_is_does_not_change() -> None:
    old = default({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}, "spec": {"podCIDR": "10.0.0.0/24"}})
    fine = {**old, "spec": {**old["spec"], "taints": [{"key": "a", "effect": "NoSchedule"}], "unschedulable": True}}
    assert validate(fine, old) == []
    taints = [{"key": "a", "effect": "NoSchedule", "value": value} for value in ("x", "y")]
    bad = {**old, "spec": {"podCIDR": "10.1.0.0/24", "externalID": "x", "taints": taints}}
    assert [cause.field for cause in validate(bad, old)] == ["spec.taints[1]", "spec.podCIDRs", ""]

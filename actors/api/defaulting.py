"""What Kubernetes fills in when a user leaves a field out (pkg/apis/*/v1/defaults.go and the admission plugins).

Defaults are data where they can be: `_PLAIN` holds constants by place. `default` works on its argument's copy on
write and is idempotent: defaulting twice changes nothing.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from typing import Any

from actors.api.codec import Object

Defaulter = Callable[[Object], None]

_TOLERATION_SECONDS = 300
_POD_SPEC = {
    "restartPolicy": "Always",
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
    "terminationGracePeriodSeconds": 30,
    "enableServiceLinks": True,
    "serviceAccountName": "default",
    "priority": 0,
    "preemptionPolicy": "PreemptLowerPriority",
}
_CONTAINER = {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}
_PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
_DEPLOYMENT = {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600}
_JOB = {
    "backoffLimit": 6,
    "completionMode": "NonIndexed",
    "suspend": False,
    "podReplacementPolicy": "TerminatingOrFailed",
}
_FILE_MODE = 0o644
_NOT_TOLERATED = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def default(obj: Object) -> Object:
    """The object with every default filled in. A Job gets its generated selector once it has a uid."""
    defaulter = _DEFAULTERS.get((obj.get("apiVersion", ""), obj.get("kind", "")))
    if defaulter is None:
        return obj
    copied: Object = _copied(obj)
    defaulter(copied)
    return copied


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copied(item) for name, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value


def _fill(target: Object, defaults: dict[str, Any]) -> None:
    for name, value in defaults.items():
        if target.get(name) is None:
            target[name] = value


def _section(obj: Object, name: str) -> Object:
    """The dict at `name`, made when it is missing; something else there is validation's to refuse."""
    section = obj.get(name)
    if section is None:
        section = obj[name] = {}
    return section if isinstance(section, dict) else {}


def _dicts(items: Any) -> Iterable[Object]:
    return (item for item in items if isinstance(item, dict)) if isinstance(items, list) else ()


def default_pull_policy(image: str) -> str:
    """Always for `:latest` and for no tag, IfNotPresent for a tag or digest."""
    if "@" in image:
        return "IfNotPresent"
    _, colon, tag = image.rpartition("/")[2].partition(":")
    return "IfNotPresent" if image == "host" or (colon and tag != "latest") else "Always"


def _default_container(container: Object, *, host_network: bool) -> None:
    _fill(container, _CONTAINER)
    _fill(container, {"imagePullPolicy": default_pull_policy(str(container.get("image", "")))})
    resources = _section(container, "resources")
    limits = resources.get("limits")
    if isinstance(limits, dict) and limits:
        _fill(_section(resources, "requests"), limits)
    for port in _dicts(container.get("ports")):
        _fill(port, {"protocol": "TCP"})
        if host_network:
            _fill(port, {"hostPort": port.get("containerPort")})
    for variable in _dicts(container.get("env")):
        reference = (variable.get("valueFrom") or {}).get("fieldRef")
        if isinstance(reference, dict):
            _fill(reference, {"apiVersion": "v1"})
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(name)
        if isinstance(probe, dict):
            _fill(probe, _PROBE)
            _fill(probe.get("httpGet") or {}, {"path": "/", "scheme": "HTTP"})


def _default_volume(volume: Object) -> None:
    if not any(name != "name" for name in volume):
        volume["emptyDir"] = {}
    for name in ("configMap", "secret", "projected", "downwardAPI"):
        source = volume.get(name)
        if isinstance(source, dict):
            _fill(source, {"defaultMode": _FILE_MODE})
    if isinstance(volume.get("hostPath"), dict):
        _fill(volume["hostPath"], {"type": ""})


def default_pod_spec(spec: Object) -> None:
    """In place, also for pod templates."""
    _fill(spec, {name: value for name, value in _POD_SPEC.items() if name not in ("priority", "preemptionPolicy")})
    _fill(spec, {"securityContext": {}})
    host_network = spec.get("hostNetwork") is True
    for kind in ("initContainers", "containers"):
        for container in _dicts(spec.get(kind)):
            _default_container(container, host_network=host_network)
    for volume in _dicts(spec.get("volumes")):
        _default_volume(volume)


def _default_tolerations(spec: Object) -> None:
    """DefaultTolerationSeconds: five minutes on a node that is not ready or unreachable."""
    present = list(_dicts(spec.get("tolerations")))
    for key in _NOT_TOLERATED:
        tolerated = (
            t for t in present if t.get("key") in (key, None, "") and t.get("effect") in ("NoExecute", None, "")
        )
        if next(tolerated, None) is None:
            row = {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _TOLERATION_SECONDS}
            spec.setdefault("tolerations", []).append(row)


def qos_class(spec: Object) -> str:
    """Guaranteed, Burstable or BestEffort (KEP-753's predecessor, pkg/apis/core/v1/helper/qos)."""
    containers = [*_dicts(spec.get("initContainers")), *_dicts(spec.get("containers"))]
    resources = [found for c in containers if isinstance(found := c.get("resources"), dict)]
    limits = [{k: v for k, v in (r.get("limits") or {}).items() if k in ("cpu", "memory")} for r in resources]
    requests = [{k: v for k, v in (r.get("requests") or {}).items() if k in ("cpu", "memory")} for r in resources]
    if not any(limits) and not any(requests):
        return "BestEffort"
    complete = len(resources) == len(containers) and all(
        len(limit) == 2 and limit == request for limit, request in zip(limits, requests, strict=True)
    )
    return "Guaranteed" if complete else "Burstable"


def _default_pod(pod: Object) -> None:
    spec = _section(pod, "spec")
    default_pod_spec(spec)
    _fill(spec, {"priority": _POD_SPEC["priority"], "preemptionPolicy": _POD_SPEC["preemptionPolicy"]})
    if isinstance(spec.get("tolerations"), list | None):
        _default_tolerations(spec)
    _fill(_section(pod, "status"), {"phase": "Pending", "qosClass": qos_class(spec)})


def _default_template(spec: Object) -> Object:
    template = _section(spec, "template")
    _section(template, "metadata")
    default_pod_spec(_section(template, "spec"))
    return template


def _default_deployment(deployment: Object) -> None:
    spec = _section(deployment, "spec")
    _fill(spec, _DEPLOYMENT)
    strategy = _section(spec, "strategy")
    _fill(strategy, {"type": "RollingUpdate"})
    if strategy["type"] == "RollingUpdate":
        _fill(_section(strategy, "rollingUpdate"), {"maxUnavailable": "25%", "maxSurge": "25%"})
    _default_template(spec)


def _default_replica_set(replica_set: Object) -> None:
    spec = _section(replica_set, "spec")
    _fill(spec, {"replicas": 1})
    _default_template(spec)


def _default_job(job: Object) -> None:
    spec = _section(job, "spec")
    _fill(spec, _JOB)
    if spec.get("completions") is None and spec.get("parallelism") is None:
        _fill(spec, {"completions": 1})
    _fill(spec, {"parallelism": 1})
    template = _default_template(spec)
    uid = (job.get("metadata") or {}).get("uid")
    if uid and not spec.get("manualSelector") and spec.get("selector") is None:
        name = job["metadata"].get("name", "")
        spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
        labels = _section(template["metadata"], "labels")
        for prefix in ("batch.kubernetes.io/", ""):
            labels[f"{prefix}controller-uid"] = uid
            labels[f"{prefix}job-name"] = name


def _default_namespace(namespace: Object) -> None:
    _fill(_section(namespace, "spec"), {"finalizers": ["kubernetes"]})
    _fill(_section(namespace, "status"), {"phase": "Active"})
    metadata = _section(namespace, "metadata")
    if metadata.get("name"):
        _section(metadata, "labels")["kubernetes.io/metadata.name"] = metadata["name"]


def _default_secret(secret: Object) -> None:
    _fill(secret, {"type": "Opaque"})
    texts = secret.pop("stringData", None)
    if isinstance(texts, dict) and texts:
        encoded = {name: base64.b64encode(str(text).encode()).decode() for name, text in texts.items()}
        _section(secret, "data").update(encoded)


def _default_service(service: Object) -> None:
    spec = _section(service, "spec")
    _fill(spec, {"type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster"})
    for port in _dicts(spec.get("ports")):
        _fill(port, {"protocol": "TCP", "targetPort": port.get("port")})


def _default_binding(binding: Object) -> None:
    group = "rbac.authorization.k8s.io"
    _fill(_section(binding, "roleRef"), {"apiGroup": group})
    for subject in _dicts(binding.get("subjects")):
        if subject.get("kind") in ("User", "Group"):
            _fill(subject, {"apiGroup": group})


_DEFAULTERS: dict[tuple[str, str], Defaulter] = {
    ("v1", "Pod"): _default_pod,
    ("v1", "Namespace"): _default_namespace,
    ("v1", "Secret"): _default_secret,
    ("v1", "Service"): _default_service,
    ("apps/v1", "Deployment"): _default_deployment,
    ("apps/v1", "ReplicaSet"): _default_replica_set,
    ("batch/v1", "Job"): _default_job,
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): _default_binding,
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): _default_binding,
}

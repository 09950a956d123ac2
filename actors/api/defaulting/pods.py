"""Pods and pod templates: what a user leaves out (pkg/apis/core/v1/defaults.go)."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from actors.api.codec import Object
from actors.api.defaulting.parts import dicts, fill, section
from actors.api.quantity import parse_millis

_POD_SPEC = {
    "restartPolicy": "Always",
    "dnsPolicy": "ClusterFirst",
    "schedulerName": "default-scheduler",
    "terminationGracePeriodSeconds": 30,
}
_CONTAINER = {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}
_PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
_FILE_MODE = 0o644


def default_pull_policy(image: str) -> str:
    """Always for `:latest` and for no tag, IfNotPresent for a tag or digest."""
    if "@" in image:
        return "IfNotPresent"
    _, colon, tag = image.rpartition("/")[2].partition(":")
    return "IfNotPresent" if image == "host" or (colon and tag != "latest") else "Always"


def _default_container(container: Object) -> None:
    fill(container, _CONTAINER)
    fill(container, {"imagePullPolicy": default_pull_policy(str(container.get("image", "")))})
    section(container, "resources")
    for port in dicts(container.get("ports")):
        fill(port, {"protocol": "TCP"})
    for variable in dicts(container.get("env")):
        reference = (variable.get("valueFrom") or {}).get("fieldRef")
        if isinstance(reference, dict):
            fill(reference, {"apiVersion": "v1"})
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(name)
        if isinstance(probe, dict):
            fill(probe, _PROBE)
            _default_handler(probe)
    lifecycle = container.get("lifecycle")
    if isinstance(lifecycle, dict):
        for name in ("postStart", "preStop"):
            _default_handler(lifecycle.get(name))


def _default_handler(handler: Any) -> None:
    if isinstance(handler, dict) and isinstance(handler.get("httpGet"), dict):
        fill(handler["httpGet"], {"path": "/", "scheme": "HTTP"})
    if isinstance(handler, dict) and isinstance(handler.get("grpc"), dict):
        fill(handler["grpc"], {"service": ""})


def _default_volume(volume: Object) -> None:
    if not any(name != "name" for name in volume):
        volume["emptyDir"] = {}
    for name in ("configMap", "secret", "projected", "downwardAPI"):
        source = volume.get(name)
        if isinstance(source, dict):
            fill(source, {"defaultMode": _FILE_MODE})
    if isinstance(volume.get("hostPath"), dict):
        fill(volume["hostPath"], {"type": ""})
    projected, ephemeral = volume.get("projected"), volume.get("ephemeral")
    for part in (volume, *dicts(projected.get("sources") if isinstance(projected, dict) else None)):
        downward, token = part.get("downwardAPI"), part.get("serviceAccountToken")
        for file in dicts(downward.get("items") if isinstance(downward, dict) else None):
            if isinstance(file.get("fieldRef"), dict):
                fill(file["fieldRef"], {"apiVersion": "v1"})
        if isinstance(token, dict):
            fill(token, {"expirationSeconds": 3600})
    if isinstance(ephemeral, dict) and isinstance(ephemeral.get("volumeClaimTemplate"), dict):
        fill(section(ephemeral["volumeClaimTemplate"], "spec"), {"volumeMode": "Filesystem"})


def default_pod_spec(spec: Object) -> None:
    """In place, also for pod templates."""
    fill(spec, _POD_SPEC)
    fill(spec, {"securityContext": {}})
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:  # the older field tells the same
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for container in dicts(spec.get(kind)):
            _default_container(container)
    for volume in dicts(spec.get("volumes")):
        _default_volume(volume)


def qos_class(spec: Object) -> str:
    """Guaranteed, Burstable or BestEffort (KEP-753's predecessor, pkg/apis/core/v1/helper/qos)."""
    containers = [*dicts(spec.get("initContainers")), *dicts(spec.get("containers"))]
    resources = [found if isinstance(found := c.get("resources"), dict) else {} for c in containers]
    limits = [_compute(found.get("limits")) for found in resources]
    requests = [_compute(found.get("requests")) for found in resources]
    if not any(limits) and not any(requests):
        return "BestEffort"
    complete = all(len(limit) == 2 and limit == request for limit, request in zip(limits, requests, strict=True))
    return "Guaranteed" if complete else "Burstable"


def _compute(amounts: Any) -> dict[str, int]:
    """CPU and memory that are more than nothing. What is no quantity is validation's to refuse."""
    found = {}
    for name in ("cpu", "memory"):
        if isinstance(amounts, dict) and amounts.get(name) is not None:
            with suppress(ValueError):
                found[name] = parse_millis(amounts[name])
    return {name: amount for name, amount in found.items() if amount}


def _default_of_pods(spec: Object) -> None:
    """What a template leaves to the pods that are made of it."""
    fill(spec, {"enableServiceLinks": True})
    host_network = spec.get("hostNetwork") is True
    for kind in ("initContainers", "containers"):
        for container in dicts(spec.get(kind)):
            resources = section(container, "resources")
            limits = resources.get("limits")
            if isinstance(limits, dict) and limits:
                fill(section(resources, "requests"), limits)
            for port in dicts(container.get("ports")) if host_network else ():
                fill(port, {"hostPort": port.get("containerPort")})


def default_pod(pod: Object) -> None:
    spec = section(pod, "spec")
    default_pod_spec(spec)
    _default_of_pods(spec)
    fill(section(pod, "status"), {"phase": "Pending", "qosClass": qos_class(spec)})

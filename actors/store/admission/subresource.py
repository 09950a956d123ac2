"""Subresources as parts of one object: a write to one changes that part and nothing else.

status -> .status    scale -> .spec.replicas    binding -> a pod's node    finalize -> a namespace's .spec.finalizers
approval -> .status.conditions    ephemeralcontainers -> a pod's .spec.ephemeralContainers
resize -> .resources and .resizePolicy of a pod's containers
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from actors.api.codec import Object
from actors.api.kinds import Kind
from actors.api.meta import LabelSelector
from actors.api.selector import format_labels, from_selector
from actors.api.validation.causes import dicts_of
from actors.store.admission.pod import with_ephemeral_containers, with_resources

#: Those that are written through the store; the others (log, exec) are the nodelet's.
SERVED = frozenset({"status", "scale", "binding", "finalize", "approval", "ephemeralcontainers", "resize"})
_LABELS, _ANNOTATIONS = "labels", "annotations"
#: What a write of status (or of an approval) may change in metadata too: what the kind's strategy leaves alone in
#: Kubernetes. Of definitions and requests for certificates, that is what controllers and Kubernetes' tests do.
_TOLD_WITH_STATUS = {
    "pods": (_LABELS, _ANNOTATIONS),
    "nodes": (_LABELS, _ANNOTATIONS),
    "namespaces": (_LABELS, _ANNOTATIONS),
    "services": (_LABELS, _ANNOTATIONS),
    "persistentvolumes": (_LABELS, _ANNOTATIONS),
    "persistentvolumeclaims": (_LABELS, _ANNOTATIONS),
    "replicationcontrollers": (_LABELS, _ANNOTATIONS),
    "deployments.apps": (_ANNOTATIONS,),
    "replicasets.apps": (_LABELS, _ANNOTATIONS),
    "statefulsets.apps": (_LABELS, _ANNOTATIONS),
    "daemonsets.apps": (_LABELS, _ANNOTATIONS),
    "jobs.batch": (_LABELS, _ANNOTATIONS),
    "cronjobs.batch": (_LABELS, _ANNOTATIONS),
    "resourcequotas": (_LABELS, _ANNOTATIONS),
    "ingresses.networking.k8s.io": (_LABELS, _ANNOTATIONS),
    "poddisruptionbudgets.policy": (_LABELS, _ANNOTATIONS),
    "horizontalpodautoscalers.autoscaling": (_LABELS, _ANNOTATIONS),
    "certificatesigningrequests.certificates.k8s.io": (_LABELS, _ANNOTATIONS),
    "customresourcedefinitions.apiextensions.k8s.io": (_LABELS, _ANNOTATIONS),
}
#: What of a pod's spec (the old, the new one) its own ways in may change.
_OF_PODS: dict[str, Callable[[Object, Object], Object]] = {
    "ephemeralcontainers": with_ephemeral_containers,
    "resize": with_resources,
}
_VERDICTS = ("Approved", "Denied")
_SCALE_METADATA = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def changed_part(old: Object, new: Object, kind: Kind, subresource: str) -> Object:
    """`new`, held to what its way in may change."""
    if subresource == "status":
        return _with_status(old, new, kind)
    if subresource == "approval":
        return _with_metadata(_with_conditions(old, new), new, kind)
    if subresource == "finalize":
        return _with_managers(_with_finalizers(old, new), new)
    if subresource in _OF_PODS:
        return _with_managers({**old, "spec": _OF_PODS[subresource](old["spec"], new.get("spec") or {})}, new)
    if "status" not in kind.subresources:
        return new
    kept = {name: value for name, value in new.items() if name != "status"}
    if "finalize" in kind.subresources:
        kept = _with_finalizers(kept, old)
    return {**kept, "status": old["status"]} if "status" in old else kept


def _with_conditions(obj: Object, source: Object) -> Object:
    """`obj` with the conditions of `source`: what an approval of a CertificateSigningRequest may say."""
    conditions = value_at(source, "status.conditions") or []
    return {**obj, "status": {**(obj.get("status") or {}), "conditions": conditions}}


def _with_status(old: Object, new: Object, kind: Kind) -> Object:
    changed = _with_metadata(old | {"status": new.get("status", {})}, new, kind)
    return _with_verdict(changed, old) if "approval" in kind.subresources else changed


def _with_metadata(part: Object, new: Object, kind: Kind) -> Object:
    changed = _with_managers(part, new)
    for name in _TOLD_WITH_STATUS.get(kind.resource, ()):
        changed["metadata"].pop(name, None)
        if name in new["metadata"]:
            changed["metadata"][name] = new["metadata"][name]
    return changed


def _with_verdict(obj: Object, source: Object) -> Object:
    """`obj` with the approval or denial of `source`: who tells a request's status does not decide on it."""
    status = obj["status"]
    if not isinstance(status, dict):
        return obj  # for validation to tell
    kept = [row for row in dicts_of(value_at(source, "status.conditions")) if row.get("type") in _VERDICTS]
    told = [row for row in dicts_of(status.get("conditions")) if row.get("type") not in _VERDICTS]
    rest = {name: value for name, value in status.items() if name != "conditions"}
    return {**obj, "status": {**rest, "conditions": [*kept, *told]} if kept or told else rest}


def _with_finalizers(obj: Object, source: Object) -> Object:
    """`obj` with the `spec.finalizers` of `source`. What is no object stays, for validation to tell."""
    spec, other = obj.get("spec", {}), source.get("spec", {})
    if not isinstance(spec, dict) or not isinstance(other, dict):
        return {**obj, "spec": spec if isinstance(other, dict) else other}
    return {**obj, "spec": {**spec, "finalizers": other.get("finalizers", [])}}


def _with_managers(part: Object, new: Object) -> Object:
    metadata = dict(part["metadata"])
    if "managedFields" in new["metadata"]:
        metadata["managedFields"] = new["metadata"]["managedFields"]
    return {**part, "metadata": metadata}


def scale_of(obj: Object, kind: Kind) -> Object:
    """The autoscaling/v1 Scale of an object, as its `scale` subresource is read."""
    metadata, paths = obj["metadata"], kind.scale
    status: Object = {"replicas": value_at(obj, paths.observed) or 0}
    if selector := _selector_text(value_at(obj, paths.selector)):
        status["selector"] = selector
    return {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {name: metadata[name] for name in _SCALE_METADATA if name in metadata},
        "spec": {"replicas": value_at(obj, paths.replicas) or 0},
        "status": status,
    }


def with_replicas(obj: Object, kind: Kind, replicas: int) -> Object:
    """A copy of `obj` that wants so many."""
    changed: Object = _with_value(obj, kind.scale.replicas.split("."), replicas)
    return changed


def value_at(obj: Any, path: str) -> Any:
    """What is at a dotted path, or None."""
    for name in filter(None, path.split(".")):
        obj = obj.get(name) if isinstance(obj, dict) else None
    return obj if path else None


def _with_value(obj: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    members = obj if isinstance(obj, dict) else {}
    return {**members, path[0]: _with_value(members.get(path[0]), path[1:], value)}


def _selector_text(selector: Any) -> str:
    """Of a LabelSelector, of a plain map of labels, or of what is text already."""
    if not isinstance(selector, dict):
        return selector if isinstance(selector, str) else ""
    if not selector.keys() & {"matchLabels", "matchExpressions"}:
        selector = {"matchLabels": selector}
    return format_labels(from_selector(msgspec.convert(selector, LabelSelector)))


def scaled(scale: Object, kind: Kind) -> Object:
    """An applied Scale as what it says of the object itself."""
    metadata = dict(scale.get("metadata") or {}) if isinstance(scale, dict) else {}
    obj: Object = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}
    replicas = value_at(scale, "spec.replicas")
    return obj if replicas is None else with_replicas(obj, kind, replicas)

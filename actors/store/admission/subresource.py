"""Subresources as parts of one object: a write to one changes that part and nothing else.

status -> .status    scale -> .spec.replicas    binding -> a pod's node    finalize -> a namespace's .spec.finalizers
"""

from __future__ import annotations

import msgspec

from actors.api.codec import Object
from actors.api.kinds import Kind
from actors.api.meta import LabelSelector
from actors.api.selector import format_labels, from_selector

#: Those that are written through the store; the others (log, exec) are the nodelet's.
SERVED = frozenset({"status", "scale", "binding", "finalize"})
_SCALE_METADATA = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def changed_part(old: Object, new: Object, kind: Kind, subresource: str) -> Object:
    """`new`, held to what its way in may change."""
    if subresource == "status":
        return _with_managers(old | {"status": new.get("status", {})}, new)
    if subresource == "finalize":
        return _with_managers(_with_finalizers(old, new), new)
    if "status" not in kind.subresources:
        return new
    kept = {name: value for name, value in new.items() if name != "status"}
    if "finalize" in kind.subresources:
        kept = _with_finalizers(kept, old)
    return {**kept, "status": old["status"]} if "status" in old else kept


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


def scale_of(obj: Object) -> Object:
    """The autoscaling/v1 Scale of a Deployment or ReplicaSet, as its `scale` subresource is read."""
    metadata, spec = obj["metadata"], obj.get("spec") or {}
    selector = msgspec.convert(spec.get("selector") or {}, LabelSelector)
    return {
        "apiVersion": "autoscaling/v1",
        "kind": "Scale",
        "metadata": {name: metadata[name] for name in _SCALE_METADATA if name in metadata},
        "spec": {"replicas": spec.get("replicas", 0)},
        "status": {
            "replicas": (obj.get("status") or {}).get("replicas", 0),
            "selector": format_labels(from_selector(selector)),
        },
    }

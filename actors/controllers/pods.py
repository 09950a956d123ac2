"""What the workload controllers share about pods: stamping one from a template, deriving its name, judging its state.

Names are derived, not drawn: a decision repeated after a crash asks for the same name again, and AlreadyExists is
then as good as success. So no repeat ever makes one pod too many.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

import msgspec

from actors.api.clock import Millis, parse_time
from actors.api.codec import Object
from actors.api.key import Key
from actors.api.kinds import POD, kind_of
from actors.api.meta import OwnerReference, Resource
from actors.api.pod import Pod
from actors.api.workloads import PodTemplate
from actors.reconcile.actions import Patch, PatchType
from actors.reconcile.conditions import condition, find_condition
from actors.reconcile.view import RESOURCES, View

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # Kubernetes' own: no vowels, so no words
_NAME_CHARS_MAX = 57  # a pod's host name has 63, of which "-" and the suffix take 6


def derive_suffix(*parts: object) -> str:
    """Five characters that look like Kubernetes' random ones and depend on `parts` alone."""
    number = int.from_bytes(blake2b("\0".join(map(str, parts)).encode(), digest_size=8).digest(), "big")
    return "".join(_ALPHABET[(number // 27**place) % 27] for place in range(5))


def free_names(owner: Resource, view: View) -> Iterator[str]:
    """Names for new pods of `owner`, lowest ordinals first, that no pod in its namespace bears."""
    meta, ordinal = owner.metadata, 0
    used: set[str] = set()
    while True:
        name = f"{meta.name[:_NAME_CHARS_MAX]}-{derive_suffix(meta.uid, ordinal)}"
        if name not in used and view.at(Key(POD.resource, meta.namespace, name)) is None:
            used.add(name)
            yield name
        ordinal += 1


def owner_reference(owner: Resource) -> dict[str, Any]:
    kind = kind_of(RESOURCES[type(owner)])
    meta = owner.metadata
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "name": meta.name,
        "uid": meta.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def new_pod(template: PodTemplate, owner: Resource, name: str, **metadata: Any) -> Object:
    """A pod of `owner`; `metadata` adds to the template's (labels and annotations are merged)."""
    meta: dict[str, Any] = {
        key: template.metadata[key] for key in ("labels", "annotations") if template.metadata.get(key)
    }
    for key, value in metadata.items():
        meta[key] = {**meta.get(key, {}), **value} if isinstance(value, dict) else value
    meta |= {"name": name, "namespace": owner.metadata.namespace, "ownerReferences": [owner_reference(owner)]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": template.spec}


def pod_key(pod: Pod) -> Key:
    return Key(POD.resource, pod.metadata.namespace, pod.metadata.name)


def is_active(pod: Pod) -> bool:
    """It runs, or will: neither finished nor on its way out."""
    return not pod.is_finished and not pod.metadata.is_deleting


def is_gone(pod: Pod) -> bool:
    """Its node has confirmed its end, or it never had one: only finalizers keep the object."""
    return pod.metadata.is_deleting and pod.metadata.deletion_grace_period_seconds == 0


def is_ready(pod: Pod) -> bool:
    ready = find_condition(pod.status.conditions, "Ready")
    return ready is not None and ready.status == "True"


def available_at(pod: Pod, min_ready_seconds: int) -> Millis | None:
    """When a ready pod counts as available; None while it is not ready."""
    ready = find_condition(pod.status.conditions, "Ready")
    if ready is None or ready.status != "True":
        return None
    since = parse_time(ready.last_transition_time) if min_ready_seconds and ready.last_transition_time else 0
    return since + min_ready_seconds * 1000


def disrupt(pod: Pod, reason: str, message: str, now: Millis, phase: str = "") -> Patch:
    """Says on the pod, before it is deleted, that the cluster and not the pod is the cause. With a `phase` only as we
    know the pod: one that has ended by itself meanwhile has ended so."""
    status: Object = {"conditions": [condition("DisruptionTarget", True, reason, message, now)]}
    if phase:
        status["phase"] = phase
    patch = {"status": status}
    return Patch(
        key=pod_key(pod),
        patch=patch,
        type=PatchType.STRATEGIC,
        subresource="status",
        uid=pod.metadata.uid,
        revision=pod.metadata.revision if phase else 0,
    )


def adopt(key: Key, obj: Resource, owner: Resource, finalizer: str = "") -> Patch:
    """Makes `owner` the controller of an object that has none, and has it bear the owner's `finalizer`. Refused when
    the object has changed meanwhile."""
    refs = [msgspec.to_builtins(ref) for ref in obj.metadata.owner_references or ()]
    borne = [name for name in obj.metadata.finalizers or () if name != finalizer]
    return _patch_owners(key, obj, [*refs, owner_reference(owner)], [*borne, finalizer] if finalizer else None)


def release(key: Key, obj: Resource, owner: Resource, finalizer: str = "") -> Patch:
    """Lets go of an object that the selector of `owner` no longer matches, and takes the owner's `finalizer` off."""
    kept: list[OwnerReference] = [r for r in obj.metadata.owner_references or () if r.uid != owner.metadata.uid]
    borne = [name for name in obj.metadata.finalizers or () if name != finalizer]
    return _patch_owners(key, obj, [msgspec.to_builtins(ref) for ref in kept], borne if finalizer else None)


def _patch_owners(key: Key, obj: Resource, refs: list[Any], finalizers: list[str] | None) -> Patch:
    metadata: dict[str, Any] = {"ownerReferences": refs or None}
    if finalizers is not None:
        metadata["finalizers"] = finalizers or None
    return Patch(key=key, patch={"metadata": metadata}, revision=obj.metadata.revision, uid=obj.metadata.uid)

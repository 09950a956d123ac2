"""Claims of a StatefulSet's pods: made before their pod, and owned by whose end is to be theirs (KEP-1847).

    whenDeleted  whenScaled   the claim of a pod that stays   of one beyond `replicas`
    Retain       Retain       nobody's                        nobody's
    Delete       Retain       the set's                       the set's
    Retain       Delete       nobody's                        the pod's
    Delete       Delete       the set's                       the pod's

Owned means: the garbage collector takes it along. A claim that somebody else controls, or that belonged to a set or
pod of the same name before, is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from actors.api.codec import Object
from actors.api.key import Key
from actors.api.meta import OwnerReference, Resource
from actors.api.pod import Pod
from actors.api.volumes import PersistentVolumeClaim
from actors.api.workloads import StatefulSet
from actors.api.workloads.stateful_set import ClaimRetention
from actors.controllers.pods import owner_reference
from actors.reconcile.actions import Create, Patch
from actors.reconcile.view import RESOURCES, View

_CLAIMS = RESOURCES[PersistentVolumeClaim]


def set_of(key: Key, claim: PersistentVolumeClaim, view: View) -> Iterable[Key]:
    """The sets that the claim may be of, by its name: TEMPLATE-SET-ORDINAL, and both may have dashes."""
    words = key.name.split("-")
    for first in range(1, len(words) - 1):
        at = Key(RESOURCES[StatefulSet], key.namespace, "-".join(words[first:-1]))
        if isinstance(view.at(at), StatefulSet):
            yield at


def template_name(template: Object) -> str:
    return str((template.get("metadata") or {}).get("name", ""))


def claims_of(stateful: StatefulSet, pod_name: str) -> Iterator[tuple[Key, Object]]:
    """Where each claim of a pod is, and its template."""
    for template in stateful.spec.volume_claim_templates or ():
        yield Key(_CLAIMS, stateful.metadata.namespace, f"{template_name(template)}-{pod_name}"), template


def make_claims(stateful: StatefulSet, pod_name: str, view: View) -> list[Create]:
    """Those that are not there."""
    missing = (row for row in claims_of(stateful, pod_name) if view.at(row[0]) is None)
    return [Create(resource=_CLAIMS, namespace=at.namespace, object=_new(stateful, at, made)) for at, made in missing]


def any_ends(stateful: StatefulSet, pod_name: str, view: View) -> bool:
    """A claim on its way out is waited for: a pod that used it would keep it."""
    claims = (view.at(key) for key, _ in claims_of(stateful, pod_name))
    return any(claim is not None and claim.metadata.is_deleting for claim in claims)


def own_claims(stateful: StatefulSet, pod: Pod, stays: bool, view: View) -> list[Patch]:
    """What makes the owners of a pod's claims what the policy asks for; `stays`: it is not beyond `replicas`."""
    patches = []
    for key, _ in claims_of(stateful, pod.metadata.name):
        claim = view.get(PersistentVolumeClaim, key.namespace, key.name)
        refs = None if claim is None else _owners(claim, stateful, pod, stays)
        if claim is not None and refs is not None:
            patch = {"metadata": {"ownerReferences": refs or None}}
            patches.append(Patch(key=key, patch=patch, uid=claim.metadata.uid, revision=claim.metadata.revision))
    return patches


def _owners(claim: PersistentVolumeClaim, stateful: StatefulSet, pod: Pod, stays: bool) -> list[dict[str, Any]] | None:
    """None: as they are."""
    policy = stateful.spec.persistent_volume_claim_retention_policy or ClaimRetention()
    refs, ours = claim.metadata.owner_references or (), (owner_reference(stateful), owner_reference(pod))
    mine = [ref for ref in refs if any(_names(ref, own) for own in ours)]
    if any(ref.uid not in (own["uid"] for own in ours) for ref in mine):
        return None  # of a set or pod that had the name before
    others = [ref for ref in refs if ref not in mine]
    owner = _owner(policy, stateful, pod, stays)
    wanted = [owner_reference(owner)] if owner is not None else []
    if any(ref.controller for ref in others) and "Delete" in (policy.when_deleted, policy.when_scaled):
        wanted = []
    if [(ref.uid, ref.controller) for ref in mine] == [(ref["uid"], True) for ref in wanted]:
        return None
    return [*map(msgspec.to_builtins, others), *wanted]


def _names(ref: OwnerReference, own: dict[str, Any]) -> bool:
    return (ref.api_version, ref.kind, ref.name) == (own["apiVersion"], own["kind"], own["name"])


def _owner(policy: ClaimRetention, stateful: StatefulSet, pod: Pod, stays: bool) -> Resource | None:
    if policy.when_scaled == "Delete" and not stays:
        return pod
    return stateful if policy.when_deleted == "Delete" else None


def _new(stateful: StatefulSet, key: Key, template: Object) -> Object:
    metadata = template.get("metadata") or {}
    labels = {**(metadata.get("labels") or {}), **(stateful.spec.selector.match_labels or {})}
    named: dict[str, Any] = {"name": key.name, "namespace": key.namespace, "labels": labels}
    if metadata.get("annotations"):
        named["annotations"] = metadata["annotations"]
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": named, "spec": template.get("spec") or {}}

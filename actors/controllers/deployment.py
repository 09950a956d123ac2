"""Deployment: one ReplicaSet per version of the template, the newest grown and the others shrunk within bounds.

A ReplicaSet is named after the hash of its template, so the same version always finds its own (rollback is just
going back to an older template); a name taken by another version is got round by counting the collision.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from actors.api.clock import Millis
from actors.api.codec import Object
from actors.api.key import Key
from actors.api.kinds import REPLICA_SET
from actors.api.meta import Resource, key_in
from actors.api.pod import Pod
from actors.api.selector import from_selector
from actors.api.workloads import Deployment, ReplicaSet
from actors.controllers.deployment_status import deployment_key, report
from actors.controllers.pods import adopt, owner_reference
from actors.controllers.rollout import (
    DESIRED,
    MAX,
    Sizes,
    plan_recreate,
    plan_resize,
    plan_rolling,
    read_bounds,
    was_resized,
)
from actors.reconcile.actions import Action, Create, Delete, Emit, Patch
from actors.reconcile.controller import controller, owner
from actors.reconcile.view import View

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
_NOT_COPIED = ("kubectl.kubernetes.io/last-applied-configuration", REVISION, DESIRED, MAX)
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def deployment_of_pod(key: Key, pod: Resource, view: View) -> Iterable[Key]:
    """Recreate waits for old pods to be gone, which no ReplicaSet's status tells."""
    for at in owner(key, pod, view):
        rs = view.at(at)
        yield from owner(at, rs, view) if rs is not None and pod.metadata.is_deleting else ()


@controller(Deployment, watches={ReplicaSet: owner, Pod: deployment_of_pod})
def reconcile(deployment: Deployment, view: View, now: Millis) -> Iterable[Action]:
    adopted = [] if deployment.metadata.is_deleting else [*_adopt(deployment, view)]
    if adopted:  # one of them may be of the present template: what is to be made is known once they are ours
        yield from adopted
        return
    sets = sorted(view.owned_by(deployment, ReplicaSet), key=lambda rs: (rs.metadata.created_ms, rs.metadata.name))
    new = next((rs for rs in sets if is_same_version(rs, deployment)), None)
    old = [rs for rs in sets if rs is not new]
    if not deployment.metadata.is_deleting:
        if new is None and not deployment.spec.paused:
            yield from _create(deployment, sets, view)
        yield from _scale(deployment, new, old, view)
        if new is not None:
            yield from _mark(deployment, new, old)
            yield from _trim(deployment, new, old)
    yield from report(deployment, new, old, now)


def is_same_version(rs: ReplicaSet, deployment: Deployment) -> bool:
    """The templates are equal but for the label with the hash."""
    return _bare(rs.spec.template.metadata, rs.spec.template.spec) == _bare(
        deployment.spec.template.metadata, deployment.spec.template.spec
    )


def _bare(metadata: Object, spec: Object) -> tuple[Any, ...]:
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key != HASH_LABEL}
    return labels, metadata.get("annotations") or {}, spec


def derive_hash(deployment: Deployment) -> str:
    """Ten characters that depend on the template and the number of collisions so far."""
    template = _bare(deployment.spec.template.metadata, deployment.spec.template.spec)
    said = msgspec.json.encode((template, deployment.status.collision_count), order="deterministic")
    number = int.from_bytes(blake2b(said, digest_size=8).digest(), "big")
    return "".join(_ALPHABET[(number // 27**place) % 27] for place in range(10))


def _adopt(deployment: Deployment, view: View) -> Iterable[Action]:
    matcher = from_selector(deployment.spec.selector)
    for rs in () if matcher.is_empty else view.orphans(ReplicaSet, deployment.metadata.namespace):
        if matcher.matches(rs.metadata.labels) and not rs.metadata.is_deleting:
            yield adopt(_key(rs), rs, deployment)


def _create(deployment: Deployment, sets: Sequence[ReplicaSet], view: View) -> Iterable[Action]:
    name = f"{deployment.metadata.name}-{derive_hash(deployment)}"
    key = Key(REPLICA_SET.resource, deployment.metadata.namespace, name)
    if view.at(key) is not None:
        patch = {"status": {"collisionCount": deployment.status.collision_count + 1}}
        revision = deployment.metadata.revision
        yield Patch(key=deployment_key(deployment), patch=patch, subresource="status", revision=revision)
        return
    yield Create(resource=key.resource, namespace=key.namespace, object=_new_set(deployment, name, sets))
    yield _told(deployment, f"Scaled up replica set {name} from 0 to {_first_size(deployment, sets)}")


def _first_size(deployment: Deployment, sets: Sequence[ReplicaSet]) -> int:
    """As many as the surge has room for; with Recreate none before the old ones are gone."""
    total = sum(rs.spec.replicas for rs in sets)
    if deployment.spec.strategy.type == "Recreate":
        return 0 if any(rs.spec.replicas or rs.status.replicas for rs in sets) else deployment.spec.replicas
    room = deployment.spec.replicas + read_bounds(deployment).surge - total
    return max(min(deployment.spec.replicas, room), 0)


def _new_set(deployment: Deployment, name: str, sets: Sequence[ReplicaSet]) -> Object:
    template = deployment.spec.template
    mark = {HASH_LABEL: name.rpartition("-")[2]}
    labels = {**(template.metadata.get("labels") or {}), **mark}
    selector: Object = msgspec.to_builtins(deployment.spec.selector)
    return {
        "apiVersion": REPLICA_SET.api_version,
        "kind": REPLICA_SET.kind,
        "metadata": {
            "name": name,
            "namespace": deployment.metadata.namespace,
            "labels": labels,
            "annotations": _annotations(deployment) | {REVISION: str(_last_revision(sets) + 1)},
            "ownerReferences": [owner_reference(deployment)],
        },
        "spec": {
            "replicas": _first_size(deployment, sets),
            "minReadySeconds": deployment.spec.min_ready_seconds,
            "selector": {**selector, "matchLabels": {**selector.get("matchLabels", {}), **mark}},
            "template": {"metadata": {**template.metadata, "labels": labels}, "spec": template.spec},
        },
    }


def _annotations(deployment: Deployment) -> dict[str, str]:
    copied = {k: v for k, v in (deployment.metadata.annotations or {}).items() if k not in _NOT_COPIED}
    desired = deployment.spec.replicas
    return copied | {DESIRED: str(desired), MAX: str(desired + read_bounds(deployment).surge)}


def revision_of(obj: Resource) -> int:
    text = obj.metadata.annotation(REVISION) or ""
    return int(text) if text.isascii() and text.isdigit() else 0


def _last_revision(sets: Sequence[ReplicaSet]) -> int:
    return max(map(revision_of, sets), default=0)


def _scale(deployment: Deployment, new: ReplicaSet | None, old: Sequence[ReplicaSet], view: View) -> Iterable[Action]:
    sets = [*old, *([new] if new else [])]
    sizes = _plan_sizes(deployment, new, old, view)
    for rs in sets:
        size = sizes.get(rs.metadata.name, rs.spec.replicas)
        marks = {key: value for key, value in _annotations(deployment).items() if key in (DESIRED, MAX)}
        if size != rs.spec.replicas or (size and rs.metadata.annotation(DESIRED) != marks[DESIRED]):
            patch = {"spec": {"replicas": size}, "metadata": {"annotations": marks}}
            yield Patch(key=_key(rs), patch=patch, revision=rs.metadata.revision, uid=rs.metadata.uid)
        if size != rs.spec.replicas:
            verb = "up" if size > rs.spec.replicas else "down"
            words = f"Scaled {verb} replica set {rs.metadata.name} from {rs.spec.replicas} to {size}"
            yield _told(deployment, words)


def _plan_sizes(deployment: Deployment, new: ReplicaSet | None, old: Sequence[ReplicaSet], view: View) -> Sizes:
    active = [rs for rs in (*old, *([new] if new else [])) if rs.spec.replicas]
    if deployment.spec.paused or was_resized(deployment, active):
        return plan_resize(deployment, active) if was_resized(deployment, active) else {}
    if deployment.spec.strategy.type == "Recreate":
        return plan_recreate(deployment, new, old, _count_old_pods(old, view))
    return plan_rolling(deployment, new, old) if new is not None else {}


def _count_old_pods(old: Sequence[ReplicaSet], view: View) -> int:
    return sum(not pod.is_finished for rs in old for pod in view.owned_by(rs, Pod))


def _mark(deployment: Deployment, new: ReplicaSet, old: Sequence[ReplicaSet]) -> Iterable[Action]:
    """The newest version has the highest revision, also when it is an old one come back; the Deployment shows it."""
    revision = max(revision_of(new), _last_revision(old) + 1)
    wanted = _annotations(deployment) | {REVISION: str(revision)}
    if not wanted.items() <= (new.metadata.annotations or {}).items():
        yield Patch(key=_key(new), patch={"metadata": {"annotations": wanted}}, uid=new.metadata.uid)
    if deployment.metadata.annotation(REVISION) != str(revision):
        patch = {"metadata": {"annotations": {REVISION: str(revision)}}}
        yield Patch(key=deployment_key(deployment), patch=patch, uid=deployment.metadata.uid)


def _trim(deployment: Deployment, new: ReplicaSet, old: Sequence[ReplicaSet]) -> Iterable[Action]:
    """Old versions beyond `revisionHistoryLimit` go, lowest revision first, once nothing of them is left."""
    empty = [rs for rs in old if not (rs.spec.replicas or rs.status.replicas or rs.metadata.is_deleting)]
    excess = len(empty) - deployment.spec.revision_history_limit
    for rs in sorted(empty, key=revision_of)[: max(excess, 0)]:
        yield Delete(key=_key(rs), uid=rs.metadata.uid)


def _key(rs: ReplicaSet) -> Key:
    return key_in(REPLICA_SET.resource, rs.metadata)


def _told(deployment: Deployment, message: str) -> Emit:
    key = deployment_key(deployment)
    return Emit(regarding=key, uid=deployment.metadata.uid, reason="ScalingReplicaSet", message=message)

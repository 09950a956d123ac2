"""The versions of a pod template as ControllerRevisions (apps/v1): what StatefulSets and DaemonSets roll between.

A version is found by what it says, so going back to an older template gives that one the highest number again; a name
taken by another version is got round by counting the collision (pkg/controller/history).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec

from actors.api.codec import Object
from actors.api.key import Key
from actors.api.kinds import kind_of
from actors.api.meta import Resource, key_in
from actors.api.selector import LabelMatcher
from actors.api.workloads import ControllerRevision, PodTemplate
from actors.controllers.pods import adopt, derive_suffix, owner_reference
from actors.reconcile.actions import Action, Create, Delete, Patch
from actors.reconcile.view import RESOURCES, View

#: On a pod, which version it is of; on a ControllerRevision, its own.
REVISION_LABEL = "controller-revision-hash"
_RESOURCE = "controllerrevisions.apps"
_HASH_LABEL = "controller.kubernetes.io/hash"


class History(msgspec.Struct, frozen=True):
    """`versions`, oldest first; `newest` is that of the present template, None while it is not written yet."""

    versions: tuple[ControllerRevision, ...]
    newest: ControllerRevision | None

    def named(self, name: str) -> ControllerRevision | None:
        return next((version for version in self.versions if version.metadata.name == name), None)


def read_history(owner: Resource, template: PodTemplate, view: View) -> History:
    owned = view.owned_by(owner, ControllerRevision)
    versions = sorted(owned, key=lambda r: (r.revision, r.metadata.created_ms, r.metadata.name))
    same = [version for version in versions if version.data == _data(template)]
    return History(tuple(versions), same[-1] if same else None)


def template_of(version: ControllerRevision) -> PodTemplate:
    """Raises ValidationError where somebody else has written there."""
    spec = (version.data or {}).get("spec") or {}
    return msgspec.convert(spec.get("template") or {}, PodTemplate)


def take_in(owner: Resource, matcher: LabelMatcher, view: View) -> Iterable[Action]:
    """Makes versions that nobody owns, and the selector matches, its own."""
    for version in () if matcher.is_empty else view.orphans(ControllerRevision, owner.metadata.namespace):
        if matcher.matches(version.metadata.labels) and not version.metadata.is_deleting:
            yield adopt(key_in(_RESOURCE, version.metadata), version, owner)


def write_version(
    owner: Resource, template: PodTemplate, history: History, collisions: int, view: View
) -> Iterable[Action]:
    """The present template as the newest version: made, or given the highest number."""
    last = history.versions[-1] if history.versions else None
    number = last.revision + 1 if last else 1
    if history.newest is not None:
        if history.newest is not last:
            meta = history.newest.metadata
            key = key_in(_RESOURCE, meta)
            yield Patch(key=key, patch={"revision": number}, uid=meta.uid, revision=meta.revision)
        return
    made = _version(owner, template, number, collisions)
    key = Key(_RESOURCE, owner.metadata.namespace, made["metadata"]["name"])
    if view.at(key) is None:
        yield Create(resource=_RESOURCE, namespace=key.namespace, object=made)
        return
    patch = {"status": {"collisionCount": collisions + 1}}
    at = key_in(RESOURCES[type(owner)], owner.metadata)
    yield Patch(key=at, patch=patch, subresource="status", revision=owner.metadata.revision)


def trim(history: History, live: Collection[str], limit: int) -> Iterable[Action]:
    """Versions that no pod is of go, the oldest first, beyond `limit` of them. `live`: names that stay."""
    old = [r for r in history.versions if r.metadata.name not in live and r is not history.newest]
    for version in old[: max(len(old) - limit, 0)]:
        if not version.metadata.is_deleting:
            yield Delete(key=key_in(_RESOURCE, version.metadata), uid=version.metadata.uid)


def _version(owner: Resource, template: PodTemplate, number: int, collisions: int) -> Object:
    kind = kind_of(_RESOURCE)
    text = msgspec.json.encode((_data(template), collisions), order="deterministic").decode()
    mark = derive_suffix(text) + derive_suffix(text, 2)
    labels = {**(template.metadata.get("labels") or {}), _HASH_LABEL: mark, REVISION_LABEL: mark}
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {
            "name": f"{owner.metadata.name}-{mark}",
            "namespace": owner.metadata.namespace,
            "labels": labels,
            "annotations": owner.metadata.annotations or {},
            "ownerReferences": [owner_reference(owner)],
        },
        "data": _data(template),
        "revision": number,
    }


def _data(template: PodTemplate) -> Object:
    """A strategic patch that makes the template this one."""
    return {"spec": {"template": {"$patch": "replace", "metadata": template.metadata, "spec": template.spec}}}


def mark_of(version: ControllerRevision) -> str:
    """Its own `controller-revision-hash`."""
    return version.metadata.label(REVISION_LABEL) or version.metadata.name.rpartition("-")[2]

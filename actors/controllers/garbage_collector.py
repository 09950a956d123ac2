"""Garbage collection by owner references: background, foreground, orphan. For every kind, on metadata alone.

An object goes when none of its owners is left. An owner of a kind that we do not serve counts as present.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from actors.api.clock import Millis
from actors.api.crd.definition import RESOURCE as DEFINITIONS
from actors.api.key import Key
from actors.api.kinds import kind_for
from actors.api.meta import OwnerReference, Resource
from actors.reconcile.actions import Action, Delete, Patch, Propagation
from actors.reconcile.controller import controller
from actors.reconcile.view import View

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"


def relatives(key: Key, obj: Resource, view: View) -> Iterable[Key]:
    """Dependents of what is going or gone, and owners that wait for this one to go."""
    now = view.at(key)
    if obj.metadata.is_deleting or now is None or now.metadata.uid != obj.metadata.uid:
        yield from view.dependents(obj.metadata.uid)
    for ref in obj.metadata.owner_references or ():
        owner = view.with_uid(ref.uid)
        if owner is not None and _is_deleting(owner, view):
            yield owner


@controller(Resource, watches={Resource: relatives})
def reconcile(obj: Resource, view: View, now: Millis) -> Iterable[Action]:
    key = view.with_uid(obj.metadata.uid)
    if key is None:
        return
    if obj.metadata.is_deleting:
        yield from _finalize(key, obj, view)
    elif obj.metadata.owner_references:
        yield from _collect(key, obj, view)


def _finalize(key: Key, obj: Resource, view: View) -> Iterable[Action]:
    """What its finalizers ask for before it may go."""
    finalizers = obj.metadata.finalizers or ()
    dependents = view.dependents(obj.metadata.uid)
    if ORPHAN in finalizers:
        yield from (_without_owner(dependent, obj, view) for dependent in dependents)
        if not dependents:
            yield _without_finalizer(key, obj, ORPHAN)
    elif FOREGROUND in finalizers:
        for dependent in dependents:
            if _has_other_owner(dependent, obj, view):
                yield _without_owner(dependent, obj, view)
            elif not _is_deleting(dependent, view):
                yield _unblocking(dependent, view) or _delete(dependent, view, Propagation.FOREGROUND)
        if not any(_blocks(dependent, obj, view) for dependent in dependents):
            yield _without_finalizer(key, obj, FOREGROUND)


def _unblocking(key: Key, view: View) -> Patch | None:
    """Of one that would close a circle of owners that wait for each other: it no longer blocks any of its own."""
    obj = view.at(key)
    refs = obj.metadata.owner_references or () if obj else ()
    if obj is None or not any(ref.block_owner_deletion for ref in refs):
        return None
    below = (view.at(dependent) for dependent in view.dependents(obj.metadata.uid))
    if not any(each is not None and _awaits_dependents(each.metadata.uid, view) for each in below):
        return None
    loose = [{**msgspec.to_builtins(ref), "blockOwnerDeletion": False} for ref in refs]
    return _patch(key, obj, {"ownerReferences": loose})


def _collect(key: Key, obj: Resource, view: View) -> Iterable[Action]:
    refs = obj.metadata.owner_references or ()
    present = [ref for ref in refs if _is_present(ref, key.namespace, view)]
    if not present:
        yield _delete(key, view, Propagation.BACKGROUND)
    elif len(present) < len(refs):
        yield _patch(key, obj, {"ownerReferences": [msgspec.to_builtins(ref) for ref in present]})


def _is_present(ref: OwnerReference, namespace: str, view: View) -> bool:
    kind = kind_for(ref.api_version, ref.kind)
    if kind is None:
        return view.with_uid(ref.uid) is not None or not _is_custom(ref.api_version, view)
    owner = view.at(Key(kind.storage.resource, namespace if kind.namespaced else "", ref.name))
    return owner is not None and owner.metadata.uid == ref.uid


def _has_other_owner(dependent: Key, owner: Resource, view: View) -> bool:
    """One that stays: not absent, nor waiting for its dependents to go."""
    obj = view.at(dependent)
    others = [ref for ref in obj.metadata.owner_references or () if ref.uid != owner.metadata.uid] if obj else []
    return any(_is_present(ref, dependent.namespace, view) and not _awaits_dependents(ref.uid, view) for ref in others)


def _awaits_dependents(uid: str, view: View) -> bool:
    key = view.with_uid(uid)
    obj = view.at(key) if key else None
    return obj is not None and obj.metadata.is_deleting and FOREGROUND in (obj.metadata.finalizers or ())


def _is_custom(api_version: str, view: View) -> bool:
    """Whether a definition is of that group: then we would know the owner if it were there."""
    group = api_version.rpartition("/")[0]
    return any(key.name.partition(".")[2] == group for key in view.of_resource(DEFINITIONS))


def _is_deleting(key: Key, view: View) -> bool:
    obj = view.at(key)
    return obj is not None and obj.metadata.is_deleting


def _blocks(dependent: Key, owner: Resource, view: View) -> bool:
    obj = view.at(dependent)
    refs = obj.metadata.owner_references or () if obj else ()
    return any(ref.uid == owner.metadata.uid and ref.block_owner_deletion for ref in refs)


def _delete(key: Key, view: View, propagation: Propagation) -> Delete:
    """Only as we know it: one that has found another owner meanwhile stays."""
    obj = view.at(key)
    meta = obj.metadata if obj else None
    keeps = meta is not None and not view.dependents(meta.uid)
    return Delete(
        key=key,
        uid=meta.uid if meta else "",
        revision=meta.revision if meta else 0,
        propagation=None if keeps else propagation,
    )


def _without_owner(key: Key, owner: Resource, view: View) -> Patch:
    obj = view.at(key) or Resource()
    kept = [ref for ref in obj.metadata.owner_references or () if ref.uid != owner.metadata.uid]
    return _patch(key, obj, {"ownerReferences": [msgspec.to_builtins(ref) for ref in kept] or None})


def _without_finalizer(key: Key, obj: Resource, name: str) -> Patch:
    kept = [finalizer for finalizer in obj.metadata.finalizers or () if finalizer != name]
    return _patch(key, obj, {"finalizers": kept or None})


def _patch(key: Key, obj: Resource, metadata: dict[str, Any]) -> Patch:
    return Patch(key=key, patch={"metadata": metadata}, revision=obj.metadata.revision, uid=obj.metadata.uid)

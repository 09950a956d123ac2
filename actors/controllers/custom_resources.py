"""Definitions of custom resources: one that is deleted takes its objects with it and goes last; names that became
free are given to who waits for them.
"""

from __future__ import annotations

from collections.abc import Iterable

from actors.api.clock import Millis, format_time
from actors.api.crd.definition import CLEANUP_FINALIZER, RESOURCE, CustomResourceDefinition
from actors.api.crd.names import Stage, stage_of, staged
from actors.api.key import Key
from actors.api.meta import Resource
from actors.reconcile.actions import Action, Delete, Patch, Propagation
from actors.reconcile.controller import controller
from actors.reconcile.view import View


def concerned(key: Key, obj: Resource, view: View) -> Iterable[Key]:
    """The definition of an object while it is being deleted; of a definition those that its names may be in the way."""
    definition = view.at(Key(RESOURCE, "", key.resource))
    if definition is not None and definition.metadata.is_deleting:
        yield Key(RESOURCE, "", key.resource)
    if key.resource == RESOURCE:
        yield from (other for other in view.of_resource(RESOURCE) if _group(other) == _group(key))


def _group(key: Key) -> str:
    return key.name.partition(".")[2]


@controller(CustomResourceDefinition, watches={Resource: concerned})
def reconcile(definition: CustomResourceDefinition, view: View, now: Millis) -> Iterable[Action]:
    meta = definition.metadata
    key = Key(RESOURCE, "", meta.name)
    if not meta.is_deleting:
        if not definition.names_are_accepted:
            yield Patch(key=key, patch={}, uid=meta.uid)  # admission looks at the names again
        return
    left = view.of_resource(meta.name)
    stage = Stage.UNDER_WAY if left else Stage.DONE
    if stage_of(definition.conditions) != stage:
        status = {"conditions": staged(definition.conditions, stage, format_time(now))}
        yield Patch(key=key, patch={"status": status}, subresource="status", uid=meta.uid, revision=meta.revision)
    for at in left:
        obj = view.at(at)
        if obj is not None and not obj.metadata.is_deleting:
            yield Delete(key=at, uid=obj.metadata.uid, propagation=Propagation.BACKGROUND)
    if stage_of(definition.conditions) == Stage.DONE and CLEANUP_FINALIZER in (meta.finalizers or ()):
        kept = [name for name in meta.finalizers or () if name != CLEANUP_FINALIZER]
        yield Patch(key=key, patch={"metadata": {"finalizers": kept or None}}, uid=meta.uid, revision=meta.revision)

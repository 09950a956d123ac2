"""Server-side apply."""

from __future__ import annotations

import msgspec

from actors.api import kinds
from actors.api.errors import BadRequest
from actors.reconcile.actions import Create, Patch, PatchType
from actors.store.admission.create import admit_create
from actors.store.admission.outcome import Context, Outcome
from actors.store.admission.update import admit_patch


def admit_apply(write: Patch, context: Context) -> Outcome:
    kinds.kind_of(write.key.resource)
    if not isinstance(write.patch, dict):
        raise BadRequest("an applied configuration is an object")
    if context.lookup(write.key) is None:
        named = {**write.patch, "metadata": {**write.patch.get("metadata", {}), "name": write.key.name}}
        return admit_create(Create(resource=write.key.resource, namespace=write.key.namespace, object=named), context)
    return admit_patch(msgspec.structs.replace(write, type=PatchType.STRATEGIC), context)

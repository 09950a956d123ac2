"""Default roles and bindings: made when they are missing, and given back what was taken from them, at every start.

What an operator added stays; one who wants less sets the annotation `rbac.authorization.kubernetes.io/autoupdate` to
"false" (plugin/pkg/auth/authorizer/rbac/bootstrappolicy). `plan_bootstrap` is pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from actors.api.codec import Object, decode
from actors.api.default_roles import AUTOUPDATE, default_bindings, default_roles
from actors.api.key import Key, Stored
from actors.api.kinds import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, Kind
from actors.reconcile.actions import Create, Patch, StoreWrite
from actors.reconcile.watch import Selection
from actors.store.port import StorePort

_MANAGER = "raypod-gateway"
_SELECTION = Selection((CLUSTER_ROLE.resource, CLUSTER_ROLE_BINDING.resource))


async def ensure_defaults(store: StorePort) -> int:
    """The count of objects that were made or mended. Raises Unavailable."""
    page = await store.list(_SELECTION)
    writes = list(plan_bootstrap({stored.key: stored for stored in page.items}))
    if writes:
        await store.commit(writes)
    return len(writes)


def plan_bootstrap(there: Mapping[Key, Stored]) -> Iterator[StoreWrite]:
    for role in default_roles():
        yield from _plan(there, CLUSTER_ROLE, role, "rules")
    for binding in default_bindings():
        yield from _plan(there, CLUSTER_ROLE_BINDING, binding, "subjects")


def _plan(there: Mapping[Key, Stored], kind: Kind, wanted: Object, field: str) -> Iterator[StoreWrite]:
    key = Key(kind.resource, "", wanted["metadata"]["name"])
    stored = there.get(key)
    if stored is None:
        yield Create(resource=kind.resource, namespace="", object=wanted, manager=_MANAGER)
        return
    found = decode(stored)
    if (found["metadata"].get("annotations") or {}).get(AUTOUPDATE) == "false" or "aggregationRule" in wanted:
        return
    held: list[Any] = found.get(field) or []
    missing = [item for item in wanted[field] if item not in held]
    if missing:
        yield Patch(key=key, patch={field: [*held, *missing]}, revision=stored.revision, manager=_MANAGER)

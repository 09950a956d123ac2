"""The status of a ValidatingAdmissionPolicy, told with the write itself: what its expressions cannot be right about.

What kube-apiserver's validatingadmissionpolicy-status controller does later.
"""

from __future__ import annotations

import msgspec

from actors.api.codec import Object
from actors.api.kinds import SERVED, kind_of
from actors.api.policies.policy import VALIDATING, Policy
from actors.api.policies.type_check import Typed, find_warnings, schema_of
from actors.api.schema import definition_name
from actors.store.admission.outcome import Context

POLICY = kind_of(VALIDATING)
_META: Object = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}}


def settled(obj: Object, old: Object | None, context: Context) -> Object:
    """A policy with its type checks, done again when its spec has changed."""
    if old is not None and obj.get("spec") == old.get("spec"):
        return obj
    policy = msgspec.convert(obj, Policy)
    warnings = find_warnings(policy.spec, lambda *place: _resolve(context, *place))
    generation = old["metadata"].get("generation", 0) + 1 if old is not None else 1
    checking: Object = {"expressionWarnings": warnings} if warnings else {}
    status = {**(obj.get("status") or {}), "observedGeneration": generation, "typeChecking": checking}
    return {**obj, "status": status}


def _resolve(context: Context, group: str, version: str, plural: str) -> Typed | None:
    for kind in SERVED:
        if (kind.group, kind.version, kind.plural) == (group, version, plural):
            return Typed(_name(group, version, kind.kind), schema_of(definition_name(kind.api_version, kind.kind)))
    custom = context.custom(f"{plural}.{group}") if group else None
    found = custom.versions.get(version) if custom is not None and custom.established else None
    if found is None:
        return None
    properties = {**_META, **(found.schema.get("properties") or {}), "metadata": schema_of("meta.v1.ObjectMeta")}
    return Typed(_name(group, version, found.kind), {**found.schema, "properties": properties})


def _name(group: str, version: str, kind: str) -> str:
    """As Go prints a GroupVersionKind."""
    return f"{group}/{version}, Kind={kind}"

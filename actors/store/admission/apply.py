"""Server-side apply (KEP-555): a manager says what it wants, all of it, each time. What it wants becomes so; what it
wanted before and nobody else does goes; what another manager wants otherwise is a Conflict unless forced.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec

from actors.api.clock import format_time
from actors.api.codec import Object
from actors.api.conversion import to_stored
from actors.api.errors import BadRequest, Cause, Conflict
from actors.api.key import Stored
from actors.api.kinds import Kind
from actors.api.schema import Field
from actors.reconcile.actions import Create, Patch
from actors.store.admission import metadata, refusals
from actors.store.admission.applied import check_applied
from actors.store.admission.create import admit_create
from actors.store.admission.fieldset import (
    CONTAINER,
    Path,
    flatten,
    format_path,
    item_steps,
    member_field,
    root_of,
)
from actors.store.admission.last_applied import allowed_conflicts, with_last_applied
from actors.store.admission.outcome import Context, Outcome, Put
from actors.store.admission.ownership import APPLY, UPDATE, Claim, Owner, read_claims, with_claims
from actors.store.admission.pruning import pruned
from actors.store.admission.subresource import scaled
from actors.store.admission.update import check_subresource, check_view, decode_as, finish_update

_UNRECORDED = Owner("before-first-apply", UPDATE)
#: The object itself and those of its parts that can be applied.
_APPLIED = frozenset({"", "status", "scale", "ephemeralcontainers", "resize"})


def admit_apply(write: Patch, context: Context) -> Outcome:
    """Creates what is not there. Raises Conflict (causes FieldManagerConflict), NotFound, Invalid, BadRequest."""
    kind = context.kind_of(write.key.resource)
    if not write.manager:
        raise BadRequest("PatchOptions is invalid: fieldManager: Required value: is required for apply patch")
    if write.subresource not in _APPLIED:
        raise BadRequest(f"{kind.resource}/{write.subresource} cannot be applied: use another kind of patch")
    check_subresource(kind, write.subresource)
    view = kind.view(write.api_version)
    patch = scaled(write.patch, view) if write.subresource == "scale" else write.patch
    wanted = metadata.check_type(to_stored(metadata.check_type(patch, view), view), kind)
    metadata.read_meta(wanted)
    check_applied(wanted, kind)
    metadata.check_target(wanted, write.key)
    if wanted["metadata"].get("managedFields"):
        raise BadRequest("metadata.managedFields must be nil")
    owner = Owner(write.manager, APPLY, write.subresource)
    claim = Claim(owner, kind.api_version, format_time(context.now), _wanted_paths(wanted, kind, write.subresource))
    stored = context.lookup(write.key)
    if stored is None:
        return _create(write, wanted, claim, kind, context)
    return _merge_into(stored, write, wanted, claim, kind, context)


def _wanted_paths(wanted: Object, kind: Kind, subresource: str) -> frozenset[Path]:
    """Entries of maps and lists, not these themselves: who applies a label says nothing of labels (ToFieldSet)."""
    status = subresource == "status" if "status" in kind.subresources else None
    paths = frozenset(flatten(wanted, root_of(kind), status=status))
    above = {path[:end] for path in paths for end in range(1, len(path))}
    return frozenset(path for path in paths if path not in above or not path[-1].startswith("f:"))


def _create(write: Patch, wanted: Object, claim: Claim, kind: Kind, context: Context) -> Put:
    if write.uid or write.revision or write.subresource:
        raise refusals.not_found(kind, write.key.name)
    if uid := wanted["metadata"].get("uid"):
        why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        raise refusals.conflict(kind, write.key, why)
    named = {**wanted, "metadata": {**wanted["metadata"], "name": write.key.name}}
    created = admit_create(Create(resource=write.key.resource, namespace=write.key.namespace, object=named), context)
    if context.amended is not None:
        return created
    return Put(created.key, with_claims(created.object, [claim]))


def _merge_into(stored: Stored, write: Patch, wanted: Object, claim: Claim, kind: Kind, context: Context) -> Outcome:
    metadata.check_preconditions(kind, stored, write.uid, write.revision)
    live = decode_as(stored, kind)
    claims = read_claims(live) or [_before_first_apply(live, kind, context)]
    others = [other for other in claims if other.owner != claim.owner]
    mine = next((known for known in claims if known.owner == claim.owner), None)
    shape = root_of(kind)
    conflicts = _find_conflicts(live, wanted, shape, claim.paths, others)
    own = allowed_conflicts(live, shape, write.manager) if conflicts else frozenset()
    refused = [] if write.force else [(other, path) for other, path in conflicts if path not in own]
    if refused:
        raise _refusal(refused)
    taken = {path for _, path in conflicts}
    others = [msgspec.structs.replace(other, paths=other.paths - taken) for other in others]
    kept = frozenset[Path]().union(*(other.paths for other in others))
    merged = pruned(_merged(live, wanted, shape), shape, mine.paths if mine else frozenset(), claim.paths, kept)
    merged = with_last_applied(merged, wanted, write.manager)
    if mine is not None and mine.paths == claim.paths and not taken:
        claim = mine
    position = claims.index(mine) if mine is not None else len(others)
    merged = with_claims(merged, [*others[:position], claim, *others[position:]])
    check_view(merged, live, kind.view(write.api_version))
    return finish_update(merged, stored, live, kind, write.subresource, "", context)


def _before_first_apply(live: Object, kind: Kind, context: Context) -> Claim:
    """Who owns what nobody has kept a record of (structured-merge-diff's users: fieldmanager/skipnonapplied.go)."""
    return Claim(_UNRECORDED, kind.api_version, format_time(context.now), _wanted_paths(live, kind, ""))


# --- conflicts --------------------------------------------------------------------------------------------------


def _find_conflicts(
    live: Object, wanted: Object, shape: Field, paths: frozenset[Path], others: Sequence[Claim]
) -> list[tuple[Claim, Path]]:
    """Fields that this manager wants otherwise than they are, and that are another's."""
    before, after = flatten(live, shape), flatten(wanted, shape)
    changed = {p for p in paths if after[p] is not CONTAINER and p in before and before[p] != after[p]}
    return [(other, path) for other in others for path in sorted(other.paths & changed)]


def _refusal(conflicts: Sequence[tuple[Claim, Path]]) -> Conflict:
    causes = [
        Cause(format_path(path), f"conflict with {claim.owner} using {claim.api_version}", "FieldManagerConflict")
        for claim, path in conflicts
    ]
    if len(causes) == 1:
        return Conflict(f"Apply failed with 1 conflict: {causes[0].message}: {causes[0].field}", causes=causes)
    told: dict[str, list[str]] = {}
    for cause in causes:
        told.setdefault(cause.message.replace("conflict with", "conflicts with", 1), []).append(cause.field)
    listed = "\n".join(f"{whose}:\n" + "\n".join(f"- {field}" for field in fields) for whose, fields in told.items())
    return Conflict(f"Apply failed with {len(causes)} conflicts: {listed}", causes=causes)


# --- merging ----------------------------------------------------------------------------------------------------


def _merged(live: Any, wanted: Any, field: Field | None) -> Any:
    """`wanted` over `live`: structs and maps by member, keyed lists and sets by item, everything else replaces."""
    if isinstance(live, dict) and isinstance(wanted, dict) and not (field and field.map_type == "atomic"):
        members = {name: _merged(live.get(name), value, member_field(field, name)) for name, value in wanted.items()}
        return {**live, **members}
    if isinstance(live, list) and isinstance(wanted, list):
        old_steps, new_steps = item_steps(live, field), item_steps(wanted, field)
        if old_steps is not None and new_steps is not None and field is not None:
            old, new = list(zip(old_steps, live, strict=True)), dict(zip(new_steps, wanted, strict=True))
            return _merged_items(old, new, field)
    return wanted


def _merged_items(live: list[tuple[str, Any]], wanted: dict[str, Any], field: Field) -> list[Any]:
    """The wanted ones in their order, each over its old self; what only others want keeps its place between those
    that are in both, repeated or not (structured-merge-diff, visitListItems): what a webhook has put first stays first.
    """
    element, known = field.item, dict(reversed(live))
    merged = {step: _merged(known.get(step), item, element) for step, item in wanted.items()}
    ahead, shared = deque(merged), deque(step for step in merged if step in known)
    items: list[Any] = []
    for step, item in live:
        if step not in merged:
            items.append(item)
        elif shared and step == shared[0]:
            upto = ahead.index(shared.popleft()) + 1
            items.extend(merged[ahead.popleft()] for _ in range(upto))
    return [*items, *(merged[step] for step in ahead)]

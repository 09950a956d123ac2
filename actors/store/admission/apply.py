"""Server-side apply (KEP-555): a manager says what it wants, all of it, each time. What it wants becomes so; what it
wanted before and nobody else does goes; what another manager wants otherwise is a Conflict unless forced.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from actors.api import kinds
from actors.api.clock import format_time
from actors.api.codec import Object, decode
from actors.api.conversion import to_stored, view_of
from actors.api.errors import BadRequest, Cause, Conflict
from actors.api.key import Stored
from actors.api.kinds import Kind
from actors.api.schema import Field, definition_name
from actors.reconcile.actions import Create, Patch
from actors.store.admission import metadata, refusals
from actors.store.admission.create import admit_create
from actors.store.admission.fieldset import (
    CONTAINER,
    Path,
    flatten,
    format_path,
    item_steps,
    member_field,
)
from actors.store.admission.outcome import Context, Outcome, Put
from actors.store.admission.ownership import APPLY, Claim, Owner, read_claims, with_claims
from actors.store.admission.update import check_subresource, finish_update


def admit_apply(write: Patch, context: Context) -> Outcome:
    """Creates what is not there. Raises Conflict (causes FieldManagerConflict), NotFound, Invalid, BadRequest."""
    kind = kinds.kind_of(write.key.resource)
    if not write.manager:
        raise BadRequest("PatchOptions is invalid: fieldManager: Required value: is required for apply patch")
    if write.subresource not in ("", "status"):
        raise BadRequest(f"{kind.resource}/{write.subresource} cannot be applied: use another kind of patch")
    check_subresource(kind, write.subresource)
    view = view_of(write.api_version, kind)
    wanted = metadata.check_type(to_stored(metadata.check_type(write.patch, view), view), kind)
    metadata.read_meta(wanted)
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
    if "status" not in kind.subresources:
        return frozenset(flatten(wanted))
    return frozenset(flatten(wanted, status=bool(subresource)))


def _create(write: Patch, wanted: Object, claim: Claim, kind: Kind, context: Context) -> Put:
    if write.uid or write.revision or write.subresource:
        raise refusals.not_found(kind, write.key.name)
    named = {**wanted, "metadata": {**wanted["metadata"], "name": write.key.name}}
    created = admit_create(Create(resource=write.key.resource, namespace=write.key.namespace, object=named), context)
    return Put(created.key, with_claims(created.object, [claim]))


def _merge_into(stored: Stored, write: Patch, wanted: Object, claim: Claim, kind: Kind, context: Context) -> Outcome:
    metadata.check_preconditions(kind, stored, write.uid, write.revision, write.subresource)
    live = decode(stored)
    claims = read_claims(live)
    others = [other for other in claims if other.owner != claim.owner]
    mine = next((known for known in claims if known.owner == claim.owner), None)
    conflicts = _find_conflicts(live, wanted, claim.paths, others)
    if conflicts and not write.force:
        raise _refusal(conflicts)
    taken = {path for _, path in conflicts}
    others = [msgspec.structs.replace(other, paths=other.paths - taken) for other in others]
    dropped = (mine.paths if mine else frozenset()) - claim.paths - {path for other in others for path in other.paths}
    shape = Field(definition_name(kind.api_version, kind.kind))
    merged = _without(_merged(live, wanted, shape), shape, dropped, [path for other in others for path in other.paths])
    if mine is not None and mine.paths == claim.paths and not taken:
        claim = mine
    position = claims.index(mine) if mine is not None else len(others)
    merged = with_claims(merged, [*others[:position], claim, *others[position:]])
    return finish_update(merged, stored, live, kind, write.subresource, "", context)


# --- conflicts --------------------------------------------------------------------------------------------------


def _find_conflicts(
    live: Object, wanted: Object, paths: frozenset[Path], others: Sequence[Claim]
) -> list[tuple[Claim, Path]]:
    """Fields that this manager wants otherwise than they are, and that are another's."""
    before, after = flatten(live), flatten(wanted)
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
            return _merged_items(
                dict(zip(old_steps, live, strict=True)), dict(zip(new_steps, wanted, strict=True)), field
            )
    return wanted


def _merged_items(live: dict[str, Any], wanted: dict[str, Any], field: Field) -> list[Any]:
    """The wanted ones in their order, each over its old self; then those that only others want."""
    element = Field(field.element)
    merged = {step: _merged(live.get(step), item, element) for step, item in wanted.items()}
    return [*merged.values(), *(item for step, item in live.items() if step not in merged)]


# --- giving up --------------------------------------------------------------------------------------------------


def _without(obj: Object, shape: Field, dropped: Iterable[Path], kept: Sequence[Path]) -> Object:
    """`obj` without the fields that nobody wants any more; what holds a field of another manager's stays.

    Items go first and whole, with what was defaulted in them; a map goes when nothing is left in it.
    """
    held = {path[:end] for path in kept for end in range(1, len(path) + 1)}
    for path in sorted(dropped, key=lambda path: (path[-1].startswith("f:"), -len(path))):
        is_item = not path[-1].startswith("f:")
        is_whole = flatten(obj).get(path, CONTAINER) is not CONTAINER
        if path not in held and (is_item or (is_whole and not _is_key_of_item(path))):
            obj = _cut(obj, shape, path)
    return obj


def _is_key_of_item(path: Path) -> bool:
    """Such a field goes with its item, never alone."""
    return len(path) > 1 and path[-2].startswith("k:") and path[-1][2:] in json.loads(path[-2][2:])


def _cut(value: Any, field: Field | None, path: Path) -> Any:
    """A copy of `value` without what is at `path`."""
    step, rest = path[0], path[1:]
    if isinstance(value, dict) and step.startswith("f:") and step[2:] in value:
        name = step[2:]
        left = {n: v for n, v in value.items() if n != name}
        return {**value, name: _cut(value[name], member_field(field, name), rest)} if rest else left
    if isinstance(value, list) and field is not None and (steps := item_steps(value, field)) is not None:
        pairs = list(zip(steps, value, strict=True))
        if not rest:
            return [item for at, item in pairs if at != step]
        element = Field(field.element)
        return [_cut(item, element, rest) if at == step else item for at, item in pairs]
    return value

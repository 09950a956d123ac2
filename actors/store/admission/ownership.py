"""Who owns which field: `metadata.managedFields`, kept for every write that names its manager.

A field belongs to who changed it last by an ordinary write, and to all who apply the same value. A write without a
manager (the control plane's own) claims nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec

from actors.api.codec import Object
from actors.api.errors import Cause
from actors.api.kinds import Kind
from actors.api.meta import Lens
from actors.store.admission.fieldset import Path, decode_fields, encode_fields, flatten, root_of
from actors.store.admission.fieldtree import fields_of_new

APPLY, UPDATE = "Apply", "Update"
_ANCIENT = "ancient-changes"
_UPDATERS_MAX = 10
_MANAGER_BYTES_MAX = 128


class Owner(msgspec.Struct, frozen=True):
    """Whose: the same manager applying and updating is two owners, and so is each subresource."""

    manager: str
    operation: str
    subresource: str = ""

    def __str__(self) -> str:
        return f'"{self.manager}"' + (f' with subresource "{self.subresource}"' if self.subresource else "")


class Claim(msgspec.Struct, frozen=True):
    owner: Owner
    api_version: str
    time: str
    paths: frozenset[Path]


class _Entry(Lens, frozen=True):
    manager: str = ""
    operation: str = UPDATE
    api_version: str = ""
    time: str = ""
    subresource: str = ""
    fields_v1: Any = msgspec.field(name="fieldsV1", default=None)


def read_claims(obj: Object) -> list[Claim]:
    """Of `managedFields`; what cannot be read is nobody's."""
    try:
        entries = msgspec.convert(obj["metadata"].get("managedFields") or [], list[_Entry])
    except msgspec.ValidationError:
        return []
    return [
        Claim(Owner(e.manager, e.operation, e.subresource), e.api_version, e.time, decode_fields(e.fields_v1))
        for e in entries
    ]


def with_claims(obj: Object, claims: Iterable[Claim]) -> Object:
    """Owners of nothing are left out."""
    return _with_entries(
        obj, [_entry(c.owner, c.api_version, c.time, encode_fields(c.paths)) for c in claims if c.paths]
    )


def _with_entries(obj: Object, entries: list[Object]) -> Object:
    metadata = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
    return {**obj, "metadata": {**metadata, "managedFields": entries} if entries else metadata}


def _entry(owner: Owner, api_version: str, time: str, fields: Object) -> Object:
    entry: Object = {
        "manager": owner.manager,
        "operation": owner.operation,
        "apiVersion": api_version,
        "time": time,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
    return {**entry, "subresource": owner.subresource} if owner.subresource else entry


def owned_by_create(obj: Object, kind: Kind, manager: str, now: str, spec: Object | None = None) -> Object:
    """All that the creator said is the creator's. What a client says about managedFields of a new object is dropped.

    `spec`: fieldsV1 of the spec, where it is known.
    """
    if not manager:
        return with_claims(obj, ())
    fields = fields_of_new(obj, root_of(kind), spec)
    entry = _entry(Owner(manager, UPDATE), obj["apiVersion"], now, fields)
    return _with_entries(obj, [entry] if fields else [])


def owned_by_update(old: Object, new: Object, kind: Kind, manager: str, subresource: str, now: str) -> Object:
    """What has changed is the manager's and nobody else's; what is gone is nobody's."""
    if new["metadata"].get("managedFields") != old["metadata"].get("managedFields"):
        new = with_claims(new, read_claims(new))
    if not manager:
        return new
    root = root_of(kind)
    before, after = flatten(old, root), flatten(new, root)
    changed = {path for path, value in after.items() if path not in before or before[path] != value}
    gone = before.keys() - after.keys()
    if not changed and not gone:
        return new
    owner = Owner(manager, UPDATE, subresource)
    return with_claims(new, _few(claimed(read_claims(new), owner, new["apiVersion"], now, changed, changed | gone)))


def _few(claims: list[Claim]) -> list[Claim]:
    """Of many managers who have each updated something, the oldest become one (structured-merge-diff's cap)."""
    updates = sorted((claim for claim in claims if claim.owner.operation == UPDATE and claim.paths), key=_age)
    if len(updates) <= _UPDATERS_MAX:
        return claims
    old = updates[: len(updates) - _UPDATERS_MAX + 1]
    paths = frozenset[Path]().union(*(claim.paths for claim in old))
    return [
        Claim(Owner(_ANCIENT, UPDATE), old[-1].api_version, old[-1].time, paths),
        *(c for c in claims if c not in old),
    ]


def _age(claim: Claim) -> tuple[bool, str]:
    return claim.owner.manager != _ANCIENT, claim.time


def find_malformed(old: Object, new: Object) -> list[Cause]:
    """What a client writes into `managedFields` itself must be such (apimachinery: ValidateManagedFields)."""
    entries = new["metadata"].get("managedFields")
    if entries is None or entries == old["metadata"].get("managedFields"):
        return []
    return [
        cause for at, entry in enumerate(entries) for cause in _entry_causes(f"metadata.managedFields[{at}]", entry)
    ]


def _entry_causes(path: str, entry: Any) -> Iterator[Cause]:
    """An empty entry asks for all to be forgotten."""
    if not isinstance(entry, dict) or not entry:
        return
    if entry.get("operation") not in (APPLY, UPDATE):
        shown = json.dumps(entry.get("operation", ""))
        yield Cause(f"{path}.operation", f"Invalid value: {shown}: must be `Apply` or `Update`")
    if entry.get("fieldsType", "FieldsV1") != "FieldsV1":
        yield Cause(f"{path}.fieldsType", f"Invalid value: {json.dumps(entry['fieldsType'])}: must be `FieldsV1`")
    if len(str(entry.get("manager", "")).encode()) > _MANAGER_BYTES_MAX:
        yield Cause(
            f"{path}.manager", f"Too long: may not be more than {_MANAGER_BYTES_MAX} bytes", "FieldValueTooLong"
        )


def claimed(
    claims: Sequence[Claim], owner: Owner, api_version: str, now: str, gained: Iterable[Path], lost: Iterable[Path]
) -> list[Claim]:
    """Everyone loses `lost`, then `owner` has `gained` too."""
    taken = frozenset(lost)
    left = [_with_paths(claim, claim.paths - taken) for claim in claims]
    mine = next((claim for claim in left if claim.owner == owner), None)
    paths = frozenset(gained) | (mine.paths if mine else frozenset())
    return [*(claim for claim in left if claim.owner != owner), Claim(owner, api_version, now, paths)]


def _with_paths(claim: Claim, paths: frozenset[Path]) -> Claim:
    return msgspec.structs.replace(claim, paths=paths)

"""Who owns which field: `metadata.managedFields`, kept for every write that names its manager.

A field belongs to who changed it last by an ordinary write, and to all who apply the same value. A write without a
manager (the control plane's own) claims nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from actors.api.codec import Object
from actors.api.meta import Lens
from actors.store.admission.fieldset import Path, decode_fields, encode_fields, flatten

APPLY, UPDATE = "Apply", "Update"


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
    entries = [_entry(claim) for claim in claims if claim.paths]
    metadata = {name: value for name, value in obj["metadata"].items() if name != "managedFields"}
    return {**obj, "metadata": {**metadata, "managedFields": entries} if entries else metadata}


def _entry(claim: Claim) -> Object:
    entry: Object = {
        "manager": claim.owner.manager,
        "operation": claim.owner.operation,
        "apiVersion": claim.api_version,
        "time": claim.time,
        "fieldsType": "FieldsV1",
        "fieldsV1": encode_fields(claim.paths),
    }
    return {**entry, "subresource": claim.owner.subresource} if claim.owner.subresource else entry


def owned_by_create(obj: Object, manager: str, now: str) -> Object:
    """All that the creator said is the creator's. What a client says about managedFields of a new object is dropped."""
    if not manager:
        return with_claims(obj, ())
    paths = frozenset(flatten(obj, status=False))
    return with_claims(obj, [Claim(Owner(manager, UPDATE), obj["apiVersion"], now, paths)])


def owned_by_update(old: Object, new: Object, manager: str, subresource: str, now: str) -> Object:
    """What has changed is the manager's and nobody else's; what is gone is nobody's."""
    if not manager:
        return new
    before, after = flatten(old), flatten(new)
    changed = {path for path, value in after.items() if path not in before or before[path] != value}
    gone = before.keys() - after.keys()
    if not changed and not gone:
        return new
    owner = Owner(manager, UPDATE, subresource)
    return with_claims(new, claimed(read_claims(new), owner, new["apiVersion"], now, changed, changed | gone))


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

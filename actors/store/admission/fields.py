"""Who owns which field: `metadata.managedFields`."""

from __future__ import annotations

from actors.api.codec import Object


def owned_by_create(obj: Object, manager: str, now: str) -> Object:
    return obj


def owned_by_update(old: Object, new: Object, manager: str, subresource: str, now: str) -> Object:
    return new

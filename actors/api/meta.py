"""Lenses that every kind shares: ObjectMeta, OwnerReference, Condition. Read-only; unknown fields are skipped."""

from __future__ import annotations

import msgspec

from actors.api.clock import Millis, parse_time
from actors.api.key import Key


class Lens(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A frozen view of the fields that we read. Never encoded back: typed code writes patches."""


class OwnerReference(Lens, frozen=True):
    kind: str
    name: str
    uid: str
    api_version: str = ""
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ObjectMeta(Lens, frozen=True):
    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: tuple[OwnerReference, ...] | None = None
    finalizers: tuple[str, ...] | None = None

    @property
    def revision(self) -> int:
        return int(self.resource_version or 0)

    @property
    def created_ms(self) -> Millis:
        return parse_time(self.creation_timestamp) if self.creation_timestamp else 0

    @property
    def is_deleting(self) -> bool:
        return self.deletion_timestamp is not None

    def label(self, name: str) -> str | None:
        return (self.labels or {}).get(name)

    def annotation(self, name: str) -> str | None:
        return (self.annotations or {}).get(name)


class Condition(Lens, frozen=True):
    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None
    last_update_time: str | None = None  # Deployments only
    observed_generation: int | None = None


class LabelSelectorRequirement(Lens, frozen=True):
    key: str
    operator: str
    values: tuple[str, ...] | None = None


class LabelSelector(Lens, frozen=True):
    match_labels: dict[str, str] | None = None
    match_expressions: tuple[LabelSelectorRequirement, ...] | None = None


class Resource(Lens, frozen=True):
    """What every object has. Subclasses add `spec` and `status` and set `RESOURCE` (as in Key.resource)."""

    metadata: ObjectMeta = ObjectMeta()


def controller_of(meta: ObjectMeta) -> OwnerReference | None:
    """The one owner reference with `controller: true`, if any."""
    return next((ref for ref in meta.owner_references or () if ref.controller), None)


def key_in(resource: str, meta: ObjectMeta) -> Key:
    return Key(resource, meta.namespace, meta.name)

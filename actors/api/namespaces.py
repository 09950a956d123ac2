"""Lenses over Namespace (core/v1)."""

from __future__ import annotations

from actors.api.meta import Condition, Lens, Resource


class NamespaceSpec(Lens, frozen=True):
    finalizers: tuple[str, ...] | None = None


class NamespaceStatus(Lens, frozen=True):
    phase: str = "Active"
    conditions: tuple[Condition, ...] | None = None


class Namespace(Resource, frozen=True):
    spec: NamespaceSpec = NamespaceSpec()
    status: NamespaceStatus = NamespaceStatus()

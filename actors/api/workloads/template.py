"""What pods are stamped from, and its versions."""

from __future__ import annotations

from typing import Any

from actors.api.meta import Lens, Resource


class PodTemplate(Lens, frozen=True):
    """`spec.template`, kept as dicts: pods are stamped out of it, nothing in it is interpreted here."""

    metadata: dict[str, Any] = {}
    spec: dict[str, Any] = {}


class ControllerRevision(Resource, frozen=True):
    """A version of a template: `data` is the patch that leads to it."""

    data: dict[str, Any] | None = None
    revision: int = 0

"""TaintNodesByCondition: a new node takes no pods before the node lifecycle controller has seen it ready."""

from __future__ import annotations

from typing import ClassVar

from actors.api.codec import Object
from actors.api.node import TAINT_NOT_READY
from actors.store.admission.plugin import Plugin, Request

_TAINT = {"key": TAINT_NOT_READY, "effect": "NoSchedule"}


class TaintNodesByCondition(Plugin, frozen=True):
    resources: ClassVar[frozenset[str]] = frozenset({"nodes"})

    def mutate(self, request: Request, obj: Object) -> Object:
        spec = obj.get("spec") or {}
        taints = spec.get("taints") or []
        if any((taint.get("key"), taint.get("effect")) == (TAINT_NOT_READY, "NoSchedule") for taint in taints):
            return obj
        return {**obj, "spec": {**spec, "taints": [*taints, dict(_TAINT)]}}

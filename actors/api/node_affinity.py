"""Whether a node is one that a pod's `nodeSelector` and required node affinity ask for (core/v1 NodeSelector)."""

from __future__ import annotations

from typing import Any

from actors.api.codec import Object
from actors.api.node import Node
from actors.api.selector import Labels, Requirement

_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!", "Gt": "gt", "Lt": "lt"}


def is_wanted(spec: Object, node: Node) -> bool:
    """`spec` is a pod's. Of several terms one will do; a term that asks for nothing matches nothing."""
    labels = node.metadata.labels or {}
    if not (spec.get("nodeSelector") or {}).items() <= labels.items():
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return required is None or any(_matches(term, node) for term in required.get("nodeSelectorTerms") or ())


def _matches(term: Object, node: Node) -> bool:
    by_label, by_field = term.get("matchExpressions") or (), term.get("matchFields") or ()
    fields = {"metadata.name": node.metadata.name}
    asked = [*((row, node.metadata.labels or {}) for row in by_label), *((row, fields) for row in by_field)]
    return bool(asked) and all(_holds(row, values) for row, values in asked)


def _holds(row: dict[str, Any], values: Labels) -> bool:
    operator = _OPERATORS.get(row.get("operator", ""), "")
    return bool(operator) and Requirement(row["key"], operator, tuple(row.get("values") or ())).matches(values)

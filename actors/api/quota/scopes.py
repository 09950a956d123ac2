"""Which objects a quota with scopes is about: each term must hold; only pods and claims can match any."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from actors.api.codec import Object
from actors.api.defaulting import qos_class
from actors.api.meta import Lens
from actors.api.quota.usage import CLAIMS, PODS

_AFFINITIES = ("podAffinity", "podAntiAffinity")


class ScopeTerm(Lens, frozen=True):
    """A scope, or an expression of a scopeSelector; `Exists` is what a bare scope means."""

    scope_name: str
    operator: str = "Exists"
    values: tuple[str, ...] | None = None

    def __str__(self) -> str:
        return f"{{{self.scope_name} {self.operator} [{' '.join(self.values or ())}]}}"


def matches_scope(term: ScopeTerm, resource: str, obj: Object) -> bool:
    if resource == CLAIMS:
        return term.scope_name == "VolumeAttributesClass" and _selects(term, _volume_classes(obj))
    if resource != PODS:
        return False
    spec = obj.get("spec") or {}
    match term.scope_name:
        case "Terminating":
            return _has_deadline(spec)
        case "NotTerminating":
            return not _has_deadline(spec)
        case "BestEffort":
            return qos_class(spec) == "BestEffort"
        case "NotBestEffort":
            return qos_class(spec) != "BestEffort"
        case "PriorityClass":
            return _selects(term, {spec.get("priorityClassName") or ""} - {""})
        case "CrossNamespacePodAffinity":
            return any(map(_crosses, _affinity_terms(spec.get("affinity") or {})))
    return False


def _selects(term: ScopeTerm, names: set[str]) -> bool:
    """As a label selector over a label that may be absent, or have several values of which one is enough."""
    values = set(term.values or ())
    match term.operator:
        case "Exists":
            return bool(names)
        case "DoesNotExist":
            return not names
        case "In":
            return bool(names & values)
        case "NotIn":
            return not names or bool(names - values)
    return False


def _has_deadline(spec: Object) -> bool:
    deadline = spec.get("activeDeadlineSeconds")
    return deadline is not None and deadline >= 0


def _affinity_terms(affinity: Object) -> Iterable[Object]:
    for name in _AFFINITIES:
        rules = affinity.get(name) or {}
        yield from rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
        for weighted in rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ():
            yield weighted.get("podAffinityTerm") or {}


def _crosses(term: Object) -> bool:
    return bool(term.get("namespaces")) or term.get("namespaceSelector") is not None


def _volume_classes(claim: Object) -> set[str]:
    status: dict[str, Any] = claim.get("status") or {}
    found = {
        (claim.get("spec") or {}).get("volumeAttributesClassName"),
        status.get("currentVolumeAttributesClassName"),
        (status.get("modifyVolumeStatus") or {}).get("targetVolumeAttributesClassName"),
    }
    return {name for name in found if name}

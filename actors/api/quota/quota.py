"""A ResourceQuota as its bounds are checked: what matches it, what it makes compulsory, what it has no room for."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from actors.api.amount import ZERO, Amounts, parse_amounts
from actors.api.codec import Object
from actors.api.meta import Lens, Resource
from actors.api.pod_resources import resources_of
from actors.api.quantity import Quantity
from actors.api.quota.scopes import ScopeTerm, matches_scope
from actors.api.quota.usage import compute_usage, counted_by

_Quantities = dict[str, Quantity]
#: A quota for one of these makes it compulsory in every container; "it was a mistake", and is for no other.
_COMPULSORY = frozenset({"cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"})


class _Selector(Lens, frozen=True):
    match_expressions: tuple[ScopeTerm, ...] | None = None


class _Spec(Lens, frozen=True):
    hard: _Quantities | None = None
    scopes: tuple[str, ...] | None = None
    scope_selector: _Selector | None = None


class _Status(Lens, frozen=True):
    hard: _Quantities | None = None
    used: _Quantities | None = None


class ResourceQuota(Resource, frozen=True):
    spec: _Spec = _Spec()
    status: _Status = _Status()


class Quota(msgspec.Struct, frozen=True):
    """`used` is None when it has not been counted for exactly these bounds yet."""

    name: str
    hard: Amounts
    used: Amounts | None
    terms: tuple[ScopeTerm, ...] = ()

    def covers(self, resource: str, obj: Object) -> bool:
        """Whether the object counts against it at all."""
        if not counted_by(resource, self.hard):
            return False
        return all(matches_scope(term, resource, obj) for term in self.terms)


def read_quota(obj: Object) -> Quota:
    """Raises ValueError, msgspec.ValidationError."""
    found = msgspec.convert(obj, ResourceQuota)
    hard, used = parse_amounts(found.spec.hard), parse_amounts(found.status.used)
    bare = tuple(ScopeTerm(scope) for scope in found.spec.scopes or ())
    selected = (found.spec.scope_selector.match_expressions or ()) if found.spec.scope_selector else ()
    return Quota(found.metadata.name, hard, used if used.keys() == hard.keys() else None, (*bare, *selected))


def missing_requirements(hard: Iterable[str], pod: Object) -> str:
    """What the pod's containers must say and do not: `cpu for: a,b; memory for: a`; "" when nothing is missing."""
    wanted = sorted(_COMPULSORY & set(hard))
    spec = pod.get("spec") or {}
    whole = _says(spec)
    missing: dict[str, set[str]] = {}
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        said = _says(container) | whole
        for name in wanted:
            if name not in said:
                missing.setdefault(name, set()).add(container.get("name", ""))
    return "; ".join(f"{name} for: {','.join(sorted(names))}" for name, names in sorted(missing.items()))


def _says(part: Object) -> set[str]:
    return set(compute_usage(resources_of(part, "requests"), resources_of(part, "limits")))


def exceeded(quota: Quota, used: Amounts, more: Amounts) -> str:
    """Why `more` does not fit beside `used`, in Kubernetes' words; "" when it does."""
    over = [name for name, amount in sorted(more.items()) if _is_over(quota, used, name, amount.nanos)]
    if not over:
        return ""
    told = (("requested", more), ("used", used), ("limited", quota.hard))
    parts = [f"{word}: {','.join(f'{name}={amounts[name]}' for name in over)}" for word, amounts in told]
    return f"exceeded quota: {quota.name}, {', '.join(parts)}"


def _is_over(quota: Quota, used: Amounts, name: str, nanos: int) -> bool:
    return nanos > 0 and used.get(name, ZERO).nanos + nanos > quota.hard[name].nanos

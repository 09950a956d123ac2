"""ResourceQuota: what the objects of an API namespace may use together. What is used is exact at every revision.

There is one writer, so a quota is charged and credited in the very commit that changes what is used; one that is new or
has other bounds is counted in its own commit. Nobody else tells `status.used`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

import msgspec

from actors.api.amount import ZERO, Amounts, format_amounts, total
from actors.api.codec import Object, decode
from actors.api.key import Key
from actors.api.kinds import is_static, kind_of
from actors.api.meta import Lens
from actors.api.quota import (
    IGNORED,
    Quota,
    ScopeTerm,
    counted_by,
    exceeded,
    matches_scope,
    missing_requirements,
    read_quota,
    resources_counted,
    usage_of,
)
from actors.store.admission.outcome import Context, Put
from actors.store.admission.plugin import Change, Operation, Plugin, Request

QUOTAS = "resourcequotas"
#: Whose updates may ask for more; all others are charged for being there.
_GROWING = frozenset({"services", "persistentvolumeclaims"})


class Limited(Lens, frozen=True, forbid_unknown_fields=True):
    """What may only be used where a quota covers it: resources whose names contain one of `match_contains`, objects
    that one of `match_scopes` holds for (LimitedResource of kube-apiserver's configuration)."""

    resource: str
    match_contains: tuple[str, ...] = ()
    match_scopes: tuple[ScopeTerm, ...] = ()


class ResourceQuota(Plugin, frozen=True):
    resources: ClassVar[frozenset[str]] = frozenset({QUOTAS})
    operations: ClassVar[frozenset[Operation]] = frozenset({Operation.CREATE, Operation.UPDATE})
    subresources: ClassVar[frozenset[str]] = frozenset({"", "status"})
    limited: tuple[Limited, ...] = ()

    # --- quotas -------------------------------------------------------------------------------------------------

    def mutate(self, request: Request, obj: Object) -> Object:
        old, status = request.old or {}, obj.get("status") or {}
        is_told = bool(request.subresource)
        if not _is_readable(obj):
            return obj  # for validation to tell
        if not is_told and request.old is not None and obj.get("spec") == old.get("spec"):
            return obj
        known = read_quota({**obj, "status": old.get("status") or {}}) if is_told else None
        used = known.used if known is not None and known.used is not None else _recount(request, obj)
        hard = status.get("hard") if is_told else (obj.get("spec") or {}).get("hard")
        told = {"hard": hard, "used": format_amounts(used)}
        return {**obj, "status": {name: value for name, value in told.items() if value}}

    # --- what they count ----------------------------------------------------------------------------------------

    def settle(self, change: Change) -> Iterable[Put]:
        resource, namespace = change.kind.resource, change.key.namespace
        if not namespace or resource in IGNORED:
            return []
        stored = change.context.scan(QUOTAS, namespace)
        if not stored and not self.limited:
            return []
        objects = [decode(s) for s in sorted(stored, key=lambda s: s.key) if s.key != change.key]
        return self._settle(change, objects, decode(change.before) if change.before is not None else None)

    def _settle(self, change: Change, quotas: list[Object], before: Object | None) -> list[Put]:
        resource, after = change.kind.resource, change.after
        old = usage_of(resource, before) if before is not None else {}
        new = usage_of(resource, after) if after is not None else {}
        is_charged = after is not None and (before is None or _may_ask_for_more(resource, change.subresource))
        read = [(obj, read_quota(obj)) for obj in quotas]
        if is_charged and after is not None and self.limited:
            self._check_covered(change, [quota for _, quota in read], after, _minus(new, old))
        puts = []
        for obj, quota in read:
            was = before is not None and quota.covers(resource, before)
            now = after is not None and quota.covers(resource, after)
            if was or now:
                delta = _within(_minus(new if now else {}, old if was else {}), counted_by(resource, quota.hard))
                puts += self._charge(change, obj, quota, delta, is_charged and now)
        return puts

    def _charge(self, change: Change, obj: Object, quota: Quota, delta: Amounts, is_charged: bool) -> list[Put]:
        """The quota with what is used now; nothing when that is what was. Raises Forbidden."""
        is_new_pod = is_charged and change.kind.resource == "pods"
        if is_new_pod and (missing := missing_requirements(quota.hard, change.after or {})):
            raise change.forbidden(f"failed quota: {quota.name}: must specify {missing}")
        if not delta:
            return []
        used = quota.used if quota.used is not None else _count(change.context, change.key.namespace, quota)
        if is_charged and (why := exceeded(quota, used, delta)):
            raise change.forbidden(why)
        del obj["metadata"]["resourceVersion"]
        status = {**(obj.get("status") or {}), "used": format_amounts({**used, **total((_within(used, delta), delta))})}
        return [Put(Key(QUOTAS, change.key.namespace, quota.name), {**obj, "status": status})]

    def _check_covered(self, change: Change, quotas: list[Quota], obj: Object, delta: Amounts) -> None:
        """Raises Forbidden for what is limited and no quota speaks of."""
        resource = change.kind.resource
        rules = [rule for rule in self.limited if rule.resource == resource]
        asked = {name for name, amount in delta.items() if amount.nanos > 0}
        names = {name for name in asked for rule in rules if any(part in name for part in rule.match_contains)}
        names -= {name for quota in quotas if quota.covers(resource, obj) for name in quota.hard}
        if names:
            raise change.forbidden(f"insufficient quota to consume: {','.join(sorted(names))}")
        terms = [term for rule in rules for term in rule.match_scopes if matches_scope(term, resource, obj)]
        spoken = {term.scope_name for quota in quotas for term in quota.terms if matches_scope(term, resource, obj)}
        if open_ := [term for term in terms if term.scope_name not in spoken]:
            raise change.forbidden(f"insufficient quota to match these scopes: [{' '.join(map(str, open_))}]")


def _may_ask_for_more(resource: str, subresource: str) -> bool:
    return subresource == "resize" or (not subresource and resource in _GROWING)


def _minus(new: Amounts, old: Amounts) -> Amounts:
    """What differs, with its sign."""
    delta = {name: new.get(name, ZERO).minus(old.get(name, ZERO)) for name in (*new, *old)}
    return {name: amount for name, amount in delta.items() if amount.nanos}


def _within(amounts: Amounts, names: Iterable[str]) -> Amounts:
    return {name: amounts[name] for name in names if name in amounts}


# --- counting ---------------------------------------------------------------------------------------------------


def _is_readable(obj: Object) -> bool:
    try:
        read_quota({**obj, "status": {}})
    except (ValueError, msgspec.ValidationError):
        return False
    return True


def _recount(request: Request, obj: Object) -> Amounts:
    """For a quota that is being written: it counts itself, too."""
    quota = read_quota({**obj, "status": {}})
    used = _count(request.context, request.key.namespace, quota)
    if request.old is None and quota.covers(QUOTAS, obj):
        used = total((used, _within(usage_of(QUOTAS, obj), quota.hard)))
    return used


def _count(context: Context, namespace: str, quota: Quota) -> Amounts:
    """What there is now, of every name that the quota counts."""
    used = dict.fromkeys(quota.hard, ZERO)
    for resource in sorted(resources_counted(quota.hard)):
        if not resource or (is_static(resource) and not kind_of(resource).namespaced):
            continue
        for stored in context.scan(resource, namespace):
            obj = decode(stored)
            if quota.covers(resource, obj):
                used = total((used, _within(usage_of(resource, obj), quota.hard)))
    return used

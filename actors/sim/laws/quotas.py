"""Quotas: after every commit what is used is what there is, and it has not grown beyond the bounds."""

from __future__ import annotations

from collections import defaultdict

from actors.api.amount import ZERO, Amounts, total
from actors.api.codec import Object, decode
from actors.api.key import Key, Stored
from actors.api.quota import IGNORED, Quota, counted_by, read_quota, usage_of
from actors.sim.laws.law import Breach, Sight

_QUOTAS = "resourcequotas"


class QuotasAreExact:
    """`settle` is called when all changes of a commit have been seen."""

    def __init__(self) -> None:
        self._objects: dict[str, dict[Key, Stored]] = defaultdict(dict)
        self._changed: set[str] = set()
        self._known: dict[str, Quota] = {}

    def see(self, sight: Sight) -> None:
        key = sight.key
        if not key.namespace or key.resource in IGNORED:
            return
        self._changed.add(key.namespace)
        if sight.removed:
            self._objects[key.namespace].pop(key, None)
        else:
            self._objects[key.namespace][key] = sight.record.stored

    def settle(self) -> None:
        changed, self._changed = self._changed, set()
        for namespace in sorted(changed):
            here = self._objects[namespace]
            quotas = [stored for key, stored in here.items() if key.resource == _QUOTAS]
            if quotas:
                objects = [(key.resource, decode(stored)) for key, stored in here.items()]
                for stored in quotas:
                    self._check(stored, objects)

    def _check(self, stored: Stored, objects: list[tuple[str, Object]]) -> None:
        quota, before = read_quota(decode(stored)), self._known.get(stored.uid)
        self._known[stored.uid] = quota
        found = _count(quota, objects)
        if quota.used is None or _nanos(quota.used) != _nanos(found):
            raise Breach(f"{stored.key} says that {_told(quota.used)} is used, and it is {_told(found)}")
        if before is None or before.used is None or before.hard != quota.hard:
            return
        for name, amount in quota.used.items():
            if amount.nanos > max(before.used[name].nanos, quota.hard[name].nanos):
                raise Breach(f"{stored.key}: {name} has grown to {amount}, {quota.hard[name]} is allowed")


def _count(quota: Quota, objects: list[tuple[str, Object]]) -> Amounts:
    used = dict.fromkeys(quota.hard, ZERO)
    for resource, obj in objects:
        if quota.covers(resource, obj):
            usage = usage_of(resource, obj)
            used = total((used, {name: usage[name] for name in counted_by(resource, quota.hard) if name in usage}))
    return used


def _nanos(amounts: Amounts) -> dict[str, int]:
    return {name: amount.nanos for name, amount in amounts.items()}


def _told(amounts: Amounts | None) -> str:
    return ", ".join(f"{name}={amount}" for name, amount in sorted((amounts or {}).items())) or "nothing"

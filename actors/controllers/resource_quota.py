"""ResourceQuotas: `status.hard` is `spec.hard`, whoever has told otherwise. What is used is the store's to count."""

from __future__ import annotations

from collections.abc import Iterable

from actors.api.clock import Millis
from actors.api.key import Key
from actors.api.quota import ResourceQuota
from actors.reconcile.actions import Action, Patch
from actors.reconcile.controller import controller
from actors.reconcile.view import RESOURCES, View


@controller(ResourceQuota)
def reconcile(quota: ResourceQuota, view: View, now: Millis) -> Iterable[Action]:
    wanted, told = quota.spec.hard or {}, quota.status.hard or {}
    if wanted == told and wanted.keys() == (quota.status.used or {}).keys():
        return
    meta = quota.metadata
    patch = {"status": {"hard": {**dict.fromkeys(told), **wanted}}}
    key = Key(RESOURCES[ResourceQuota], meta.namespace, meta.name)
    yield Patch(key=key, patch=patch, subresource="status", uid=meta.uid, revision=meta.revision)

"""What the definitions of custom resources make of the gateway: a mirror of them, no older than the question.

Every question asks the store for the changes since the last one, which are almost always none; nothing runs in the
background, and any number of gateways agree.
"""

from __future__ import annotations

from collections.abc import Iterator

from actors.api.crd.definition import RESOURCE
from actors.api.crd.kinds import CustomKind, read_custom
from actors.api.errors import Expired
from actors.api.key import Stored
from actors.gateway.served import STATIC, Served
from actors.reconcile.watch import EventType, Selection, WatchBatch
from actors.store.port import StorePort

_SELECTION = Selection((RESOURCE,))


class CustomKinds:
    """Used within one event loop."""

    def __init__(self, store: StorePort) -> None:
        self._store = store
        self._definitions: dict[str, Stored] = {}
        self._revision = 0
        self._served = STATIC

    async def served(self) -> Served:
        """All that is served now: every definition that was acknowledged before the call is in it."""
        if self._revision == 0:
            await self._relist()
            return self._served
        try:
            self._take(await self._store.watch(_SELECTION, self._revision, 0))
        except Expired:
            await self._relist()
        return self._served

    async def _relist(self) -> None:
        page = await self._store.list(_SELECTION)
        if page.revision >= self._revision:
            self._definitions = {item.key.name: item for item in page.items}
            self._show(page.revision)

    def _take(self, batch: WatchBatch) -> None:
        """Questions may overlap: what another has brought already is passed over."""
        fresh = [event for event in batch.events if event.stored.revision > self._revision]
        for event in fresh:
            if event.type is EventType.DELETED:
                self._definitions.pop(event.stored.key.name, None)
            else:
                self._definitions[event.stored.key.name] = event.stored
        if fresh:
            self._show(batch.revision)
        self._revision = max(self._revision, batch.revision)

    def _show(self, revision: int) -> None:
        self._served = Served(self._kinds(), f"-{revision}")
        self._revision = revision

    def _kinds(self) -> Iterator[CustomKind]:
        for stored in self._definitions.values():
            found = read_custom(stored.body, stored.revision)
            if found.established:
                yield from (kind for kind in found.versions.values() if kind.served)

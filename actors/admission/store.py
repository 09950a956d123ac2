"""StorePort for a part of the control plane whose writes admission is to see, as it sees users': the controllers'."""

from __future__ import annotations

from collections.abc import Sequence

from actors.admission.chain import Chain
from actors.admission.request import Origin
from actors.api.clock import Millis
from actors.api.codec import Object
from actors.api.key import Key, Stored
from actors.reconcile.actions import Reply, StoreWrite
from actors.reconcile.watch import Selection, WatchBatch
from actors.store.port import History, Page, StorePort


class AdmittedStore:
    """Commits pass the chain in the name of `user` (authentication/v1 UserInfo); reads pass by."""

    def __init__(self, store: StorePort, chain: Chain, user: Object) -> None:
        self._store, self._chain, self._user = store, chain, user

    async def commit(self, writes: Sequence[StoreWrite], idempotency_key: str = "") -> list[Reply]:
        origins = [Origin(self._user) for _ in writes]
        return await self._chain.submit(writes, origins, idempotency_key)

    async def get(self, key: Key, revision: int = 0) -> Stored:
        return await self._store.get(key, revision)

    async def list(self, selection: Selection, *, limit: int = 0, cursor: str = "", revision: int = 0) -> Page:
        return await self._store.list(selection, limit=limit, cursor=cursor, revision=revision)

    async def revision_at(self, at: Millis) -> int:
        return await self._store.revision_at(at)

    async def history(self, selection: Selection, since: int = 0, until: int = 0) -> History:
        return await self._store.history(selection, since, until)

    async def watch(self, selection: Selection, since: int, timeout_ms: int = 30_000) -> WatchBatch:
        return await self._store.watch(selection, since, timeout_ms)

"""Keeps the graph of nodes current: one list, then one watch, begun with the first request that a node makes."""

from __future__ import annotations

import asyncio
import logging

import msgspec

from actors.api.errors import ApiError, Expired, Unavailable
from actors.api.key import Stored
from actors.gateway.auth.nodes.authorizer import NodeAuthorizer
from actors.gateway.auth.nodes.graph import RESOURCES, Graph
from actors.reconcile.watch import EventType, Selection
from actors.store.loop import list_all
from actors.store.port import StorePort

_LOG = logging.getLogger(__name__)
_SELECTION = Selection(RESOURCES)
_RETRY_SECONDS, _READY_SECONDS = 1.0, 10.0


class NodeFeed:
    """Used within one event loop."""

    def __init__(self, store: StorePort) -> None:
        self._store = store
        self._graph = Graph()
        self.authorizer = NodeAuthorizer(self._graph)
        self._ready = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    async def wait_ready(self) -> None:
        """Begins to follow, where nobody has asked before. Raises Unavailable while the store has not been read."""
        if self._running is None:
            self._running = asyncio.create_task(self._run(), name="node-graph")
        if self._ready.is_set():
            return
        try:
            async with asyncio.timeout(_READY_SECONDS):
                await self._ready.wait()
        except TimeoutError:
            message = "the gateway has not read yet which pods are on which node: the store does not answer"
            raise Unavailable(message, retry_after_seconds=1) from None

    async def stop(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def _run(self) -> None:
        revision = 0
        while True:
            try:
                if not revision:
                    items, revision = await list_all(self._store, _SELECTION)
                    self._graph.clear()
                    for stored in items:
                        self._put(stored)
                    self._ready.set()
                batch = await self._store.watch(_SELECTION, revision)
                for event in batch.events:
                    if event.type is EventType.DELETED:
                        self._graph.remove(event.stored.key)
                    else:
                        self._put(event.stored)
                revision = batch.revision
            except Expired:
                revision = 0
            except (ApiError, OSError) as error:
                _LOG.warning("the watch of what is on which node waits for the store: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)

    def _put(self, stored: Stored) -> None:
        """What cannot be read leads to no node."""
        try:
            self._graph.put(stored)
        except msgspec.ValidationError as error:
            self._graph.remove(stored.key)
            _LOG.warning("%s leads to no node: %s", stored.key, error)

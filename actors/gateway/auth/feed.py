"""Keeps a Policy current: one list, then one watch of roles and bindings. Runs in the gateway, one for all requests."""

from __future__ import annotations

import asyncio
import logging

import msgspec

from actors.api.codec import lens
from actors.api.errors import ApiError, Expired, Unavailable
from actors.api.key import Key, Stored
from actors.api.meta import Resource
from actors.gateway.auth.nodes.feed import NodeFeed
from actors.gateway.auth.policy import SHAPES, Policy
from actors.gateway.auth.user import User, node_of
from actors.reconcile.watch import EventType, Selection
from actors.store.port import StorePort

_LOG = logging.getLogger(__name__)
_SELECTION = Selection(tuple(SHAPES))
_RETRY_SECONDS = 1.0
_READY_SECONDS = 5.0


class PolicyFeed:
    """Used within one event loop."""

    def __init__(self, store: StorePort) -> None:
        self._store = store
        self._objects: dict[Key, Resource] = {}
        self._revision = 0
        self._nodes = NodeFeed(store)
        self._policy = Policy({})
        self._ready = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._running = asyncio.create_task(self._run(), name="rbac-policy")

    async def stop(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        await self._nodes.stop()

    @property
    def is_ready(self) -> bool:
        return self._ready.is_set()

    async def policy_for(self, user: User) -> Policy:
        """The policy now. Raises Unavailable for those who need one while the store has not been read yet."""
        if self._running is None:
            await self.read()
        if not self._ready.is_set() and not user.is_master:
            try:
                async with asyncio.timeout(_READY_SECONDS):
                    await self._ready.wait()
            except TimeoutError:
                message = "the gateway has not read yet who may do what: the store does not answer"
                raise Unavailable(message, retry_after_seconds=1) from None
        if node_of(user) is not None:
            await self._nodes.wait_ready()
        return self._policy

    async def _run(self) -> None:
        while True:
            try:
                if not self._ready.is_set():
                    await self.read()
                await self._follow()
            except Expired:
                self._ready.clear()
            except (ApiError, OSError) as error:
                _LOG.warning("the watch of roles and bindings waits for the store: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)

    async def read(self) -> None:
        """All of them, anew."""
        page = await self._store.list(_SELECTION)
        self._objects = {}
        for stored in page.items:
            self._put(stored)
        self._publish(page.revision)
        self._ready.set()

    async def _follow(self) -> None:
        batch = await self._store.watch(_SELECTION, self._revision)
        for event in batch.events:
            if event.type is EventType.DELETED:
                self._objects.pop(event.stored.key, None)
            else:
                self._put(event.stored)
        self._revision = batch.revision
        if batch.events:
            self._publish(batch.revision)

    def _put(self, stored: Stored) -> None:
        """What cannot be read as a role or binding grants nothing."""
        try:
            self._objects[stored.key] = lens(stored, SHAPES[stored.key.resource])
        except msgspec.ValidationError as error:
            self._objects.pop(stored.key, None)
            _LOG.warning("%s grants nothing: %s", stored.key, error)

    def _publish(self, revision: int) -> None:
        self._revision = revision
        self._policy = Policy(self._objects, revision, self._nodes.authorizer)

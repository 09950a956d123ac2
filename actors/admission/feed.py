"""Keeps every step's configuration current: one list, then one watch of what configures them.

Like kube-apiserver's, it is a moment behind the store: who installs a webhook waits until it is called.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Protocol

from actors.api.errors import ApiError, Expired, Unavailable
from actors.api.key import Key, Stored
from actors.reconcile.watch import EventType, Selection
from actors.store.port import StorePort

_LOG = logging.getLogger(__name__)
_RETRY_SECONDS = 1.0
_READY_SECONDS = 10.0


class Configured(Protocol):
    """`resources` are watched for it; `configure` is called with all of them, by key, whenever one has changed."""

    @property
    def resources(self) -> tuple[str, ...]: ...

    def configure(self, objects: Mapping[Key, Stored]) -> None: ...


class ConfigurationFeed:
    """Used within one event loop. Not started, it reads the configuration anew whenever it is asked to be ready."""

    def __init__(self, store: StorePort, steps: Sequence[Configured]) -> None:
        self._store = store
        self._steps = tuple(steps)
        self._selection = Selection(tuple(dict.fromkeys(name for step in steps for name in step.resources)))
        self._objects: dict[Key, Stored] = {}
        self._revision = 0
        self._ready = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._running = asyncio.create_task(self._run(), name="admission-configuration")

    async def stop(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    @property
    def is_idle(self) -> bool:
        """Known to have nothing configured at all."""
        if not self._steps:
            return True
        return self._running is not None and self._ready.is_set() and not self._objects

    async def wait_ready(self) -> None:
        """Raises Unavailable while the store has not been read."""
        if self._running is None:
            await self._read()
        elif not self._ready.is_set():
            try:
                async with asyncio.timeout(_READY_SECONDS):
                    await self._ready.wait()
            except TimeoutError:
                message = "not yet ready to handle request: the admission configuration has not been read"
                raise Unavailable(message, retry_after_seconds=1) from None

    async def _run(self) -> None:
        while True:
            try:
                if not self._ready.is_set():
                    await self._read()
                await self._follow()
            except Expired:
                self._ready.clear()
            except (ApiError, OSError) as error:
                _LOG.warning("the watch of the admission configuration waits for the store: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)

    async def _read(self) -> None:
        page = await self._store.list(self._selection)
        changed = {key.resource for key in self._objects} | {item.key.resource for item in page.items}
        self._objects = {item.key: item for item in page.items}
        self._revision = page.revision
        self._tell(changed)
        self._ready.set()

    async def _follow(self) -> None:
        batch = await self._store.watch(self._selection, self._revision)
        for event in batch.events:
            if event.type is EventType.DELETED:
                self._objects.pop(event.stored.key, None)
            else:
                self._objects[event.stored.key] = event.stored
        self._revision = batch.revision
        self._tell({event.stored.key.resource for event in batch.events})

    def _tell(self, changed: set[str]) -> None:
        for step in self._steps:
            if changed & set(step.resources):
                step.configure({key: obj for key, obj in self._objects.items() if key.resource in step.resources})

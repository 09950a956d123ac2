"""The layers that are here, and how a missing one gets here: once, whole or not at all, whoever asks together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import ParamSpec, TypeVar
from weakref import WeakValueDictionary

from actors.plugins.image.disk import Disk, layer_name
from actors.plugins.image.faults import NoSpace
from actors.plugins.tree import free_bytes, remove_tree

#: Unpacks a layer into the new directory; has ended with all its threads when it returns or raises.
Unpacking = Callable[[Path], Awaitable[None]]
P = ParamSpec("P")
T = TypeVar("T")


class LayerCache:
    """One per store: its locks join the pulls that share a layer. Used from one event loop."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def has(self, diff_id: str) -> bool:
        return self._disk.layer(layer_name(diff_id)) is not None

    async def ensure(self, diff_id: str, unpacking: Unpacking) -> None:
        """The layer is here when this returns; `unpacking` is called only where it is missing."""
        lock = self._locks.setdefault(diff_id, asyncio.Lock())
        async with lock:
            if not self.has(diff_id):
                await self._add(layer_name(diff_id), unpacking)

    async def _add(self, name: str, unpacking: Unpacking) -> None:
        temp = self._disk.new_temp()
        try:
            await unpacking(temp)
            await in_thread(self._disk.commit_layer, temp, name)
        finally:
            if temp.exists():
                await in_thread(remove_tree, temp)

    def check_room(self, bytes_needed: int) -> None:
        """Raises NoSpace before anything is fetched that cannot fit."""
        free = free_bytes(self._disk.root)
        if bytes_needed > free:
            raise NoSpace(
                f"the disk is full: the image needs at least {bytes_needed:,} bytes and {self._disk.root} has"
                f" {free:,} left; free space or remove images with `raypod image rm`"
            )


async def settled(future: asyncio.Future[T]) -> T:
    """Wait for a thread even when cancelled meanwhile: nobody may clean up under it."""
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    return future.result()


async def in_thread(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """`asyncio.to_thread` that has ended when it returns or raises, CancelledError too."""
    return await settled(asyncio.create_task(asyncio.to_thread(call, *args, **kwargs)))

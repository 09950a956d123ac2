"""An event loop in a thread of its own, for programs that have none: what `raypod.sync` runs its twins on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, Generic, TypeVar, cast

from raypod.errors import RaypodError

T = TypeVar("T")

_AHEAD_MAX = 1_000
_END_SECONDS = 5.0


class LoopThread:
    """An event loop in a daemon thread; an interrupt of the caller cancels what it waits for."""

    def __init__(self) -> None:
        self._loop, self.stopped = asyncio.new_event_loop(), False
        self._thread = threading.Thread(target=self._serve, name="raypod", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        self._loop.run_forever()
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        if self.stopped:
            work.close()
            raise RaypodError("this Cluster is closed: make another one")
        future = asyncio.run_coroutine_threadsafe(_attempt(work), self._loop)
        try:
            result, leaving = future.result()
        except BaseException:
            future.cancel()
            raise
        if leaving is not None:
            raise leaving
        return cast(T, result)

    def iterate(self, items: AsyncIterator[T]) -> Iterator[T]:
        """Closing the generator closes the asynchronous one."""
        reader = _Reader(items)
        try:
            while batch := self.run(reader.next_batch()):
                yield from batch
        finally:
            if not self.stopped:
                self.run(reader.close())

    def stop(self) -> None:
        """Nothing can be run any more. Once more does nothing."""
        if not self.stopped:
            self.stopped = True
            asyncio.run_coroutine_threadsafe(self._end(), self._loop)
            self._thread.join(2 * _END_SECONDS)

    async def _end(self) -> None:
        """Whoever waits still is told so by a cancellation; what was left half read is closed."""
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_END_SECONDS)
        await self._loop.shutdown_asyncgens()
        self._loop.call_soon(self._loop.stop)


async def _attempt(work: Coroutine[Any, Any, T]) -> tuple[T | None, BaseException | None]:
    """The exceptions that would end the loop, too, are handed to whoever called."""
    try:
        return await work, None
    except (SystemExit, KeyboardInterrupt) as error:
        return None, error


class _Reader(Generic[T]):
    """Reads ahead on the loop, so that one trip between the threads brings all the items that are there."""

    def __init__(self, items: AsyncIterator[T]) -> None:
        self._items = items
        self._ready: list[T] = []
        self._news, self._room = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def next_batch(self) -> list[T]:
        """Waits for the next items; none at the end. Raises what the iterator raises, after its items."""
        if self._task is None:
            self._task = asyncio.create_task(self._read())
            self._task.add_done_callback(lambda _: self._news.set())
        while not self._ready and not self._task.done():
            self._news.clear()
            await self._news.wait()
        if not self._ready:
            self._task.result()
        batch, self._ready = self._ready, []
        self._room.set()
        return batch

    async def _read(self) -> None:
        async for item in self._items:
            self._ready.append(item)
            self._news.set()
            if len(self._ready) >= _AHEAD_MAX:
                self._room.clear()
                await self._room.wait()

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        close = getattr(self._items, "aclose", None)
        if close is not None:
            await close()

"""How long a part of the control plane waits for those who are asked about its writes: a moment. Then it is answered
"not yet", goes on with its other work, and asks again; the write goes its way meanwhile.

new         carried out; answered when that is done within the moment, else Timeout
the same    while it is under way: Timeout at once; once it is done: its answer
another     of an object of which one is under way: Timeout at once, so that no two of one object overtake each other

Whoever was told Timeout must take the outcome for unknown, and may learn it by the watch as well. An object without a
name yet has nothing by which it could be asked for again: it is waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from actors.api.errors import Timeout
from actors.api.key import Key
from actors.reconcile.actions import Reply, StoreWrite

MOMENT_SECONDS = 0.25
UNDER_WAY_MAX = 256
#: What nobody has asked for again is forgotten: the watch has told it.
_KEPT_SECONDS = 60.0

CarryOut = Callable[[], Coroutine[Any, Any, Reply]]


class _Way(NamedTuple):
    write: StoreWrite
    task: asyncio.Task[Reply]
    until: float


class Patience:
    """Used within one event loop. `seconds`: the moment; `most`: how many may be under way beyond it."""

    def __init__(self, seconds: float = MOMENT_SECONDS, most: int = UNDER_WAY_MAX) -> None:
        self._seconds, self._most = seconds, most
        self._ways: dict[Key, _Way] = {}

    async def reply(self, key: Key | None, write: StoreWrite, carry_out: CarryOut) -> Reply:
        if key is None:
            return await carry_out()
        way = self._ways.get(key)
        if way is not None and not way.task.done():
            return _not_yet(key)
        if way is not None:
            del self._ways[key]
            if way.write == write:
                return way.task.result()
        if self._count() >= self._most:
            return _not_yet(key)
        task = asyncio.create_task(carry_out(), name=f"admission-{key}")
        self._ways[key] = _Way(write, task, asyncio.get_running_loop().time() + _KEPT_SECONDS)
        await asyncio.wait({task}, timeout=self._seconds)
        if not task.done():
            return _not_yet(key)
        del self._ways[key]
        return task.result()

    async def stop(self) -> None:
        """What is under way is given up: its outcome shows at the next list."""
        tasks = [way.task for way in self._ways.values()]
        self._ways.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _count(self) -> int:
        """Of those that are under way; what is done for long is forgotten."""
        now = asyncio.get_running_loop().time()
        for key in [key for key, way in self._ways.items() if way.task.done() and way.until < now]:
            del self._ways[key]
        return sum(not way.task.done() for way in self._ways.values())


def _not_yet(key: Key) -> Reply:
    message = f"{key} waits for those who are asked about it: an admission webhook has not answered yet"
    return Reply(error=Timeout(message).to_status(), changed=False)

"""A thread that does one thing after the other for an event loop, handed over and back with as little as that takes:
a durable commit is two hand-overs, and an executor's cost more than planning the commit.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread

_Work = tuple[asyncio.AbstractEventLoop, "asyncio.Future[None]", Callable[..., object], tuple[object, ...]]


class WorkThread:
    """Ends at `close`, or with the process."""

    def __init__(self, name: str) -> None:
        self._work: SimpleQueue[_Work | None] = SimpleQueue()
        self._thread = Thread(target=self._do, name=name, daemon=True)
        self._thread.start()

    def run(self, function: Callable[..., object], *arguments: object) -> asyncio.Future[None]:
        """Done when it is; raises what `function` does. Given up, it is still carried out."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._work.put((loop, done, function, arguments))
        return done

    def close(self) -> None:
        """What has been handed over is done before."""
        self._work.put(None)
        self._thread.join()

    def _do(self) -> None:
        while (work := self._work.get()) is not None:
            loop, done, function, arguments = work
            failure: BaseException | None = None
            try:
                function(*arguments)
            except BaseException as error:
                failure = error
            with contextlib.suppress(RuntimeError):  # The loop is closed: nobody waits.
                loop.call_soon_threadsafe(_settle, done, failure)
            del work, done, function, arguments, failure


def _settle(done: asyncio.Future[None], failure: BaseException | None) -> None:
    if done.done():
        return
    if failure is None:
        done.set_result(None)
    else:
        done.set_exception(failure)

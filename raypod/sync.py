"""The SDK for programs without an event loop: each call runs its async twin on a loop in a thread of its own."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from typing import Any, TypeVar, Unpack, cast

from raypod.cluster import AsyncCluster
from raypod.errors import RaypodError
from raypod.manifests import Needs, RunOptions
from raypod.runs import AsyncRun
from raypod.status import RunStatus
from raypod.timeline import Timeline

Object = dict[str, Any]
T = TypeVar("T")


class LoopThread:
    """An event loop in a daemon thread; an interrupt of the caller cancels what it waits for."""

    def __init__(self) -> None:
        self._loop, self.stopped = asyncio.new_event_loop(), False
        threading.Thread(target=self._loop.run_forever, name="raypod", daemon=True).start()

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
        try:
            while True:
                try:
                    yield self.run(_next(items))
                except StopAsyncIteration:
                    return
        finally:
            if not self.stopped:
                self.run(_close(items))

    def stop(self) -> None:
        """Nothing can be run any more. Once more does nothing."""
        if not self.stopped:
            self.stopped = True
            self._loop.call_soon_threadsafe(self._loop.stop)


async def _attempt(work: Coroutine[Any, Any, T]) -> tuple[T | None, BaseException | None]:
    """The exceptions that would end the loop, too, are handed to whoever called."""
    try:
        return await work, None
    except (SystemExit, KeyboardInterrupt) as error:
        return None, error


async def _next(items: AsyncIterator[T]) -> T:
    return await anext(items)


async def _close(items: AsyncIterator[Any]) -> None:
    close = getattr(items, "aclose", None)
    if close is not None:
        await close()


class Run:
    """One run: `replicas` containers of an image. See AsyncRun."""

    def __init__(self, run: AsyncRun, thread: LoopThread) -> None:
        self.aio, self._thread = run, thread

    def __repr__(self) -> str:
        return repr(self.aio)

    @property
    def name(self) -> str:
        return self.aio.name

    @property
    def namespace(self) -> str:
        return self.aio.namespace

    @property
    def replicas(self) -> int:
        return self.aio.replicas

    @property
    def image(self) -> str:
        return self.aio.image

    @property
    def status(self) -> RunStatus:
        """As it is now. Raises NotFound once the run is deleted."""
        return self._thread.run(self.aio.status())

    @property
    def exit_codes(self) -> tuple[int | None, ...]:
        """By replica; None for one that has not ended."""
        return self._thread.run(self.aio.exit_codes())

    def logs(self, follow: bool = False) -> Iterator[str]:
        """Lines of all replicas, prefixed `[index] ` when there are several; also after the containers are gone."""
        return self._thread.iterate(self.aio.logs(follow))

    def watch(self, timeout: float | None = None) -> Iterator[RunStatus]:
        """The status, and again after each change, until the run is finished or `timeout` seconds are over."""
        return self._thread.iterate(self.aio.watch(timeout))

    def wait(self, timeout: float | None = None) -> RunStatus:
        """Until the run has succeeded or failed. Raises WaitTimeout (seconds), with what it waits for."""
        return self._thread.run(self.aio.wait(timeout))

    def timeline(self) -> Timeline:
        """Where the time went."""
        return self._thread.run(self.aio.timeline())

    def delete(self) -> None:
        """Stop what runs and forget the run. Once more does nothing."""
        self._thread.run(self.aio.delete())

    def wait_deleted(self, timeout: float = 60) -> None:
        """Until the run and all its pods are gone. Raises WaitTimeout."""
        self._thread.run(self.aio.wait_deleted(timeout))


class Cluster:
    """A raypod cluster: attaches to the running control plane, or starts the embedded one. `aio` is the async twin."""

    def __init__(
        self, kubeconfig: str | os.PathLike[str] | None = None, *, namespace: str = "", start: bool = True
    ) -> None:
        self._thread = LoopThread()
        self.aio = self._thread.run(_connected(kubeconfig, namespace, start))
        atexit.register(self.close)

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of connections. What runs goes on. Once more does nothing."""
        atexit.unregister(self.close)
        if not self._thread.stopped:
            self._thread.run(self.aio.close())
            self._thread.stop()

    def run(self, name: str = "", *, image: str, **options: Unpack[RunOptions]) -> Run:
        """Submit containers of `image` and return at once; `name` "" is drawn. See RunOptions.

        Raises ValueError for an argument that cannot be, NameTaken, ApiError.
        """
        return Run(self._thread.run(self.aio.run(name, image=image, **options)), self._thread)

    def get(self, name: str) -> Run:
        """Raises NotFound."""
        return Run(self._thread.run(self.aio.get(name)), self._thread)

    def runs(self) -> list[tuple[Run, RunStatus]]:
        """All runs with their status, oldest first."""
        return [(Run(run, self._thread), status) for run, status in self._thread.run(self.aio.runs())]

    def call(
        self,
        fn: Callable[..., T],
        *args: Any,
        image: str = "host",
        python: str = "",
        timeout: float | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **needs: Unpack[Needs],
    ) -> T:
        """Run `fn(*args, **kwargs)` in a container; its result, or its exception. See AsyncCluster.call."""
        work = self.aio.call(fn, *args, image=image, python=python, timeout=timeout, kwargs=kwargs, **needs)
        return self._thread.run(work)

    def status(self) -> Object:
        """Nodes, GPUs and the control plane's actors, as `raypod status -o json` prints them."""
        return self._thread.run(self.aio.status())

    def nodes(self) -> list[str]:
        return self._thread.run(self.aio.nodes())

    def image(self, node: str, verb: str, **request: Any) -> Object:
        """One image verb on one node: list, pull (reference=), load (path=), remove (reference=)."""
        return self._thread.run(self.aio.image(node, verb, **request))


async def _connected(kubeconfig: str | os.PathLike[str] | None, namespace: str, start: bool) -> AsyncCluster:
    cluster = AsyncCluster(kubeconfig, namespace=namespace, start=start)
    await cluster.api()
    return cluster

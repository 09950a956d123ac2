"""The SDK for programs without an event loop: each call runs its async twin on a loop in a thread of its own."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar, Unpack, cast, overload

from raypod.cluster import Args, AsyncCluster
from raypod.errors import ApiError, RaypodError, SomeRefused
from raypod.execution import ExecResult
from raypod.logs import Stream
from raypod.manifests import ManyRun, Needs, RunOptions
from raypod.past import When
from raypod.runs import AsyncRun
from raypod.status import RunStatus
from raypod.timeline import Timeline

Object = dict[str, Any]
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

    def logs(self, follow: bool = False, *, stream: Stream = "") -> Iterator[str]:
        """Lines of all replicas, prefixed `[index] ` when there are several; also after the containers are gone."""
        return self._thread.iterate(self.aio.logs(follow, stream=stream))

    def exec(
        self, command: Sequence[str], *, replica: int = 0, input: bytes | None = None, timeout: float | None = None
    ) -> ExecResult:
        """Run a command to its end in a replica's container: its exit code, stdout and stderr. See AsyncRun.exec."""
        return self._thread.run(self.aio.exec(command, replica=replica, input=input, timeout=timeout))

    def watch(self, timeout: float | None = None) -> Iterator[RunStatus]:
        """The status, and again after each change, until the run is finished or `timeout` seconds are over."""
        return self._thread.iterate(self.aio.watch(timeout))

    def wait(self, timeout: float | None = None) -> RunStatus:
        """Until the run has succeeded or failed. Raises WaitTimeout (seconds), with what it waits for."""
        return self._thread.run(self.aio.wait(timeout))

    def wait_started(self, timeout: float | None = None) -> RunStatus:
        """Until every replica's container has been started. Raises WaitTimeout (seconds), with what it waits for."""
        return self._thread.run(self.aio.wait_started(timeout))

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

    def run_many(self, runs: Sequence[ManyRun]) -> list[Run]:
        """Submit many runs at once: for each a dict of what `run` takes. See AsyncCluster.run_many."""
        try:
            return [Run(run, self._thread) for run in self._thread.run(self.aio.run_many(runs))]
        except SomeRefused as error:
            error.results = [Run(r, self._thread) if isinstance(r, AsyncRun) else r for r in error.results]
            raise

    def create_many(self, objects: Sequence[Object]) -> list[Object | ApiError]:
        """Create objects of any kinds in few requests and few commits. See AsyncCluster.create_many."""
        return self._thread.run(self.aio.create_many(objects))

    def get(self, name: str) -> Run:
        """Raises NotFound."""
        return Run(self._thread.run(self.aio.get(name)), self._thread)

    def runs(self) -> list[tuple[Run, RunStatus]]:
        """All runs with their status, oldest first."""
        return [(Run(run, self._thread), status) for run, status in self._thread.run(self.aio.runs())]

    @overload
    def call(
        self,
        fn: Callable[[Unpack[Args]], T],
        *args: *Args,
        image: str = ...,
        python: str = ...,
        timeout: float | None = ...,
        **needs: Unpack[Needs],
    ) -> T: ...

    @overload
    def call(
        self,
        fn: Callable[..., T],
        *args: Any,
        kwargs: Mapping[str, Any] | None,
        image: str = ...,
        python: str = ...,
        timeout: float | None = ...,
        **needs: Unpack[Needs],
    ) -> T: ...

    def call(  # type: ignore[misc]  # the first overload's arguments are any arguments
        self,
        fn: Callable[..., T],
        *args: Any,
        image: str = "host",
        python: str = "",
        timeout: float | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **needs: Unpack[Needs],
    ) -> T:
        """Run `fn(*args, **kwargs)` in a container; its result, or its exception. What it prints is written to
        `sys.stdout` and `sys.stderr` as it comes, without a prefix. See AsyncCluster.call."""
        work = self.aio.call(fn, *args, image=image, python=python, timeout=timeout, kwargs=kwargs, **needs)
        return self._thread.run(work)

    def read(self, kind: str, name: str, *, namespace: str = "", at: When | None = None, revision: int = 0) -> Object:
        """One object, now or as it was `at` a time or `revision`. Raises NotFound, ApiError (410: no longer there)."""
        return self._thread.run(self.aio.read(kind, name, namespace=namespace, at=at, revision=revision))

    def objects(
        self, kind: str, *, namespace: str = "", selector: str = "", at: When | None = None, revision: int = 0
    ) -> list[Object]:
        """All of a kind in an API namespace, now or as they were `at` a time or `revision`. `selector`: of labels."""
        work = self.aio.objects(kind, namespace=namespace, selector=selector, at=at, revision=revision)
        return self._thread.run(work)

    def history(self, kind: str, name: str, *, namespace: str = "") -> list[Object]:
        """Who changed which field of an object when, oldest first. See AsyncCluster.history."""
        return self._thread.run(self.aio.history(kind, name, namespace=namespace))

    def log(self, since: When | int | None = None, until: When | int | None = None) -> Iterator[Object]:
        """Every retained change of every object after `since` up to `until` (revisions or times), oldest first."""
        return self._thread.iterate(self.aio.log(since, until))

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

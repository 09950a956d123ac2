"""The SDK for programs without an event loop: each call runs its async twin on a loop in a thread of its own."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from raypod.cluster import AsyncCluster, AsyncRun
from raypod.status import RunStatus
from raypod.timeline import Timeline

Object = dict[str, Any]
T = TypeVar("T")


class LoopThread:
    """An event loop in a daemon thread; an interrupt of the caller cancels what it waits for."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="raypod", daemon=True).start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def iterate(self, items: AsyncIterator[T]) -> Iterator[T]:
        """Closing the generator closes the asynchronous one."""
        try:
            while True:
                try:
                    yield self.run(_next(items))
                except StopAsyncIteration:
                    return
        finally:
            self.run(_close(items))

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)


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
        self._thread.run(self.aio.close())
        self._thread.stop()

    def run(
        self,
        name: str = "",
        *,
        image: str,
        command: Sequence[str] = (),
        args: Sequence[str] = (),
        replicas: int = 1,
        cpus: float | None = None,
        memory: str | int | None = None,
        gpus: int = 0,
        env: Mapping[str, object] | None = None,
        volumes: Mapping[str, str] | None = None,
        retries: int = 0,
        working_dir: str = "",
        node_selector: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        grace_seconds: int | None = None,
    ) -> Run:
        """Submit `replicas` containers of `image` and return at once. See AsyncCluster.run."""
        work = self.aio.run(
            name,
            image=image,
            command=command,
            args=args,
            replicas=replicas,
            cpus=cpus,
            memory=memory,
            gpus=gpus,
            env=env,
            volumes=volumes,
            retries=retries,
            working_dir=working_dir,
            node_selector=node_selector,
            labels=labels,
            grace_seconds=grace_seconds,
        )
        return Run(self._thread.run(work), self._thread)

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
        cpus: float | None = None,
        memory: str | int | None = None,
        gpus: int = 0,
        env: Mapping[str, object] | None = None,
        volumes: Mapping[str, str] | None = None,
        python: str = "",
        timeout: float | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> T:
        """Run `fn(*args, **kwargs)` in a container; its result, or its exception. See AsyncCluster.call."""
        work = self.aio.call(
            fn,
            *args,
            image=image,
            cpus=cpus,
            memory=memory,
            gpus=gpus,
            env=env,
            volumes=volumes,
            python=python,
            timeout=timeout,
            kwargs=kwargs,
        )
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

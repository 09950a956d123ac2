"""The SDK for programs without an event loop: each call runs its async twin on a loop in a thread of its own."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypeVar, Unpack, overload

from raypod.cluster import Args, AsyncCluster
from raypod.errors import ApiError, SomeRefused
from raypod.execution import ExecResult
from raypod.logs import Stream
from raypod.loop_thread import LoopThread
from raypod.manifests import ManyRun, Needs, RunOptions
from raypod.past import When
from raypod.runs import AsyncRun
from raypod.status import RunStatus
from raypod.timeline import Timeline

Object = dict[str, Any]
T = TypeVar("T")


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

    def attach(
        self, *, replica: int = 0, input: bytes | None = None
    ) -> Iterator[tuple[Literal["Stdout", "Stderr"], bytes]]:
        """What a replica's own process says from now on, until it ends. See AsyncRun.attach."""
        return self._thread.iterate(self.aio.attach(replica=replica, input=input))

    def copy_to(self, source: str | os.PathLike[str], target: str, *, replica: int = 0) -> None:
        """A file or folder from here into a replica's container. See AsyncRun.copy_to."""
        self._thread.run(self.aio.copy_to(source, target, replica=replica))

    def copy_from(self, source: str, target: str | os.PathLike[str], *, replica: int = 0) -> list[str]:
        """A file or folder from a replica's container to here; what was left out. See AsyncRun.copy_from."""
        return self._thread.run(self.aio.copy_from(source, target, replica=replica))

    @contextmanager
    def port_forward(
        self,
        *ports: int | str,
        replica: int = 0,
        address: str = "localhost",
        told: Callable[[str], None] = lambda sentence: None,
    ) -> Iterator[list[tuple[int, int]]]:
        """Local TCP ports that lead to a replica's, as (local, remote), within `with`. See AsyncRun.port_forward."""
        forwarding = self.aio.port_forward(*ports, replica=replica, address=address, told=told)
        self._thread.run(forwarding.open())
        try:
            yield forwarding.ports
        finally:
            self._thread.run(forwarding.close())

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

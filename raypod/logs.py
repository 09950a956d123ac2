"""Lines of all replicas of a run, merged as they come, none lost and none twice, also over restarts of the gateway.

Within a replica the order is the container's own. With several replicas each line is prefixed `[index] `.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Literal

from raypod.api import ApiClient
from raypod.errors import NotFound, RaypodError
from raypod.manifests import CONTAINER, RUN_LABEL
from raypod.status import has_output, index_of

Object = dict[str, Any]
#: "" is both.
Stream = Literal["", "Stdout", "Stderr"]

_RETRY_SECONDS = 0.2
_QUEUE_LINES_MAX = 10_000
_FAILURES_MAX = 25


async def read_logs(
    api: ApiClient, namespace: str, name: str, *, prefixed: bool, known: list[Object], stream: Stream = ""
) -> AsyncIterator[str]:
    """What there is now, replica by replica. `known`: the run's pods as last seen, for a run that is deleted."""
    page = await api.get(f"/api/v1/namespaces/{namespace}/pods", labelSelector=f"{RUN_LABEL}={name}")
    pods = {pod["metadata"]["name"]: pod for pod in [*known, *(page.get("items") or ())]}
    for pod in sorted(pods.values(), key=lambda pod: (index_of(pod), pod["metadata"].get("creationTimestamp", ""))):
        prefix = f"[{index_of(pod)}] " if prefixed else ""
        if has_output(pod):
            async for line in _read_pod(api, namespace, pod, stream):
                yield prefix + line


async def _read_pod(api: ApiClient, namespace: str, pod: Object, stream: Stream) -> AsyncIterator[str]:
    name, uid = pod["metadata"]["name"], pod["metadata"].get("uid", "")
    try:
        path = f"/api/v1/namespaces/{namespace}/pods/{name}/log"
        async for line in api.lines(path, container=CONTAINER, stream=stream):
            yield line.decode(errors="replace")
    except NotFound:
        with suppress(NotFound):
            async for line in api.lines(
                f"/raypod/v1/logs/{namespace}/{name}", uid=uid, container=CONTAINER, stream=stream
            ):
                yield line.decode(errors="replace")


class LogFollower:
    """Follows every pod that the run gets until the run is finished and all of it is read."""

    def __init__(self, api: ApiClient, namespace: str, *, prefixed: bool, stream: Stream = "") -> None:
        self._api, self._namespace, self._prefixed, self._of = api, namespace, prefixed, stream
        self._queue: asyncio.Queue[str | None] = asyncio.Queue(_QUEUE_LINES_MAX)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ended: dict[str, asyncio.Event] = {}

    def see(self, pods: list[Object]) -> None:
        """The run's pods as they are now."""
        present = {pod["metadata"]["name"] for pod in pods}
        for name, event in self._ended.items():
            if name not in present:
                event.set()
        for pod in pods:
            name = pod["metadata"]["name"]
            if has_output(pod) and name not in self._tasks:
                self._ended[name] = asyncio.Event()
                self._tasks[name] = asyncio.create_task(self._follow(pod))
            if name in self._ended and (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
                self._ended[name].set()

    async def finish(self) -> None:
        """No pods will follow: end once what there is has been read."""
        for event in self._ended.values():
            event.set()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await self._queue.put(None)

    async def lines(self) -> AsyncIterator[str]:
        while (line := await self._queue.get()) is not None:
            yield line

    def cancel(self) -> None:
        for task in self._tasks.values():
            task.cancel()

    async def _follow(self, pod: Object) -> None:
        """Timestamps let a stream that broke go on where it was. One more look after the end misses nothing."""
        prefix = f"[{index_of(pod)}] " if self._prefixed else ""
        name, uid = pod["metadata"]["name"], pod["metadata"].get("uid", "")
        place, failures = _Place(), 0
        while failures < _FAILURES_MAX:
            was_ended = self._ended[name].is_set()
            try:
                async for line in self._stream(name, uid, place, past=failures > 0 and was_ended):
                    stamp, _, text = line.decode(errors="replace").partition(" ")
                    if place.is_new(stamp):
                        await self._queue.put(prefix + text)
                if was_ended:
                    return
            except (ConnectionError, RaypodError):
                failures += was_ended
            with suppress(TimeoutError):
                async with asyncio.timeout(_RETRY_SECONDS):
                    await self._ended[name].wait()

    def _stream(self, name: str, uid: str, place: _Place, *, past: bool) -> AsyncIterator[bytes]:
        """`past`: the pod may be gone, and its log is asked for by name."""
        place.rewind()
        path = f"/api/v1/namespaces/{self._namespace}/pods/{name}/log"
        if past:
            path = f"/raypod/v1/logs/{self._namespace}/{name}"
        return self._api.lines(
            path,
            container=CONTAINER,
            follow="true",
            timestamps="true",
            sinceTime=place.since,
            stream=self._of,
            uid=uid if past else "",
        )


class _Place:
    """How far a log has been read: the last timestamp, and how many lines bore it."""

    def __init__(self) -> None:
        self.since, self._count, self._seen = "", 0, 0

    def rewind(self) -> None:
        """A new stream begins at `since` and tells the lines of that time again."""
        self._seen = 0

    def is_new(self, stamp: str) -> bool:
        if stamp < self.since:
            return False
        if stamp == self.since:
            self._seen += 1
            is_repeated = self._seen <= self._count
            self._count = max(self._count, self._seen)
            return not is_repeated
        self.since, self._count, self._seen = stamp, 1, 1
        return True

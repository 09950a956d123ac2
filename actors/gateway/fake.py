"""NodesPort and ClusterPort in memory, for tests and for a gateway without a cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from actors.api.clock import parse_time
from actors.api.errors import ApiError, NotFound, Unavailable
from actors.api.images import ImageProgress, ImageReply, ImageRequest, ImageSummary
from actors.api.logs import LogChunk, LogRequest
from actors.api.streams import StreamRequest
from actors.api.usage import NodeUsage
from actors.gateway.port import ActorHealth
from actors.nodelet.streams.endpoint import run_stream
from actors.nodelet.streams.frames import Frames, memory_pair
from actors.nodelet.streams.session import failure_status, send_status
from actors.plugins.errors import PluginError
from actors.plugins.runtime.port import Connection, Streams

_POLL_SECONDS = 0.01


class FakeLog(msgspec.Struct):
    """One container's log: CRI lines, and whether the container has ended."""

    lines: list[bytes] = msgspec.field(default_factory=list)
    ended: bool = False


class FakeNodes:
    """Logs by (node, namespace, pod, container); images and usages by node.

    `away` names nodes that do not answer; `failures` are raised, one a read, by reads that go on from a cursor.
    """

    def __init__(self) -> None:
        self.logs: dict[tuple[str, str, str, str], FakeLog] = {}
        self.images: dict[str, dict[str, ImageSummary]] = {}
        self.usages: dict[str, NodeUsage] = {}
        self.away: set[str] = set()
        self.failures: list[ApiError] = []
        self.requests: list[LogRequest] = []
        self._pulls: set[tuple[str, str]] = set()
        self.opened: list[StreamRequest] = []
        #: What a stream is of, or why there is none.
        self.streams: Callable[[StreamRequest], Streams | Connection] = _no_stream
        self._serving: set[asyncio.Task[None]] = set()

    def log(self, node: str, namespace: str, pod: str, container: str) -> FakeLog:
        return self.logs.setdefault((node, namespace, pod, container), FakeLog())

    async def read_log(self, node: str, request: LogRequest) -> LogChunk:
        self._check_there(node)
        self.requests.append(request)
        if request.cursor and self.failures:
            raise self.failures.pop(0)
        log = self._find(node, request)
        first = self._first(log, request)
        for _ in range(max(request.wait_ms // 10, 1)):
            self._check_there(node)
            if len(log.lines) > first or log.ended or not request.wait_ms:
                break
            await asyncio.sleep(_POLL_SECONDS)
        lines = [line for line in log.lines[first:] if _is_since(line, request.since_ms)]
        return LogChunk(lines=b"".join(lines), cursor=str(len(log.lines)), ended=log.ended)

    def _find(self, node: str, request: LogRequest) -> FakeLog:
        for (at, namespace, pod, container), log in self.logs.items():
            named = (at, namespace, pod) == (node, request.namespace, request.pod)
            if named and request.container in ("", container):
                return log
        raise NotFound(f"no log of container {request.container!r}")

    @staticmethod
    def _first(log: FakeLog, request: LogRequest) -> int:
        if request.cursor:
            return int(request.cursor)
        return max(len(log.lines) - request.tail_lines, 0) if request.tail_lines >= 0 else 0

    async def image(self, node: str, request: ImageRequest) -> ImageReply:
        self._check_there(node)
        here = self.images.setdefault(node, {})
        if request.verb == "list":
            return ImageReply(images=tuple(here.values()))
        if request.verb == "remove":
            if here.pop(request.reference, None) is None:
                raise NotFound(f"image {request.reference!r} is not on node {node}")
            return ImageReply()
        return self._fetch(node, request.reference or request.path)

    async def usage(self, node: str) -> NodeUsage:
        self._check_there(node)
        if node not in self.usages:
            raise Unavailable("the node has just begun to measure", retry_after_seconds=1)
        return self.usages[node]

    def _fetch(self, node: str, reference: str) -> ImageReply:
        """The first question finds it under way, the second done."""
        if (node, reference) not in self._pulls:
            self._pulls.add((node, reference))
            return ImageReply(done=False, progress=ImageProgress(phase="pulling", layers_total=1))
        image = ImageSummary(id=f"sha256:{reference}", tags=(reference,), size_bytes=1)
        self.images[node][reference] = image
        return ImageReply(images=(image,))

    async def open_stream(self, node: str, request: StreamRequest) -> Frames:
        self._check_there(node)
        self.opened.append(request)
        ours, theirs = memory_pair()
        task = asyncio.create_task(self._serve(theirs, request))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        return ours

    async def _serve(self, frames: Frames, request: StreamRequest) -> None:
        try:
            await run_stream(frames, request, self.streams(request))
        except (ApiError, PluginError) as error:
            await send_status(frames, failure_status(error))
        finally:
            await frames.close()

    def _check_there(self, node: str) -> None:
        if node in self.away:
            raise Unavailable(f"node {node} does not answer")


def _no_stream(request: StreamRequest) -> Streams | Connection:
    raise NotFound(f'container not found ("{request.container}")')


def _is_since(line: bytes, since_ms: int) -> bool:
    return not since_ms or parse_time(line.split(b" ", 1)[0].decode()) >= since_ms


class FakeCluster:
    def __init__(self, *actors: ActorHealth) -> None:
        self.healths = list(actors)

    async def actors(self) -> tuple[ActorHealth, ...]:
        return tuple(self.healths)

"""Typed handles on the actors of other processes: what StorePort, NodesPort, ApiPort and ClusterPort are over Ray.

Every call has a time limit (a stopped actor's call would hang for ever) and every handle can be pickled; an actor
that was replaced is looked up again. What Ray reports about an actor that is away becomes `Unavailable`.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import msgspec
import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from actors.api.errors import ApiError, InternalError, Unavailable
from actors.api.images import ImageReply, ImageRequest
from actors.api.logs import LogChunk, LogRequest
from actors.api.streams import StreamRequest, StreamTicket
from actors.api.tokens import ApiAddress, PodToken, PodTokenRequest
from actors.api.usage import NodeUsage
from actors.cluster.topology import CONTROL_PLANE, GATEWAY, GATEWAY_PREFIX, NODELET_PREFIX, RAY_NAMESPACE, STORE
from actors.gateway.port import ActorHealth
from actors.nodelet.streams.endpoint import redeem
from actors.nodelet.streams.frames import Frames
from actors.store.client import StoreClient
from actors.store.feed import Feed
from actors.store.line.caller import StoreLine
from actors.store.replica import Replica

LOG_SLACK_MS = 5_000
IMAGE_SLACK_MS = 10_000
STREAM_MS = 10_000
API_MS = 5_000
HEALTH_MS = 1_500
USAGE_MS = 3_000
#: The list of nodelets is asked for at most so often.
NODELETS_FRESH_SECONDS = 2.0


class ActorCall:
    """Calls methods of one named actor; the handle is found once and kept while the actor lives."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._handle: Any = None

    def __reduce__(self) -> tuple[type[ActorCall], tuple[str]]:
        return ActorCall, (self.name,)

    async def __call__(self, method: str, blob: bytes, timeout_ms: int) -> Any:
        """One call with one argument. Raises Unavailable (away), TimeoutError (no answer), or the actor's own error."""
        return await self.call(timeout_ms, method, blob)

    async def call(self, timeout_ms: int, method: str, *arguments: object) -> Any:
        return await self._ask(timeout_ms, "cluster_call", method, *arguments)

    async def health(self, timeout_ms: int) -> dict[str, Any]:
        """What the part's `health` says, and `node`, `uptime_ms`, `restarts`, `message` (of its main loop)."""
        return dict(await self._ask(timeout_ms, "cluster_health"))

    async def _ask(self, timeout_ms: int, method: str, *arguments: object) -> Any:
        async with asyncio.timeout(timeout_ms / 1000):
            try:
                handle = self._handle or await self._find()
                return await getattr(handle, method).remote(*arguments)
            except RayTaskError as error:
                cause = error.cause
                raise cause if isinstance(cause, ApiError) else InternalError(_told(self.name, cause)) from error
            except RayActorError as error:
                self._handle = None
                raise Unavailable(f"{self.name} is being started again: {_first_line(error)}") from error
            except RayError as error:
                raise Unavailable(f"{self.name} cannot be reached: {_first_line(error)}") from error

    async def _find(self) -> Any:
        try:
            self._handle = await asyncio.to_thread(ray.get_actor, self.name, RAY_NAMESPACE)
        except ValueError as error:
            raise Unavailable(f"there is no actor {self.name} (yet)") from error
        return self._handle


def ray_store(user: str) -> StoreClient:
    """The store, from any process on the Ray cluster. `user`: in whose name it is written to."""
    return StoreClient(ActorCall(STORE), user=user)


def near_store(user: str, line: Path) -> StoreClient:
    """The store, from a process on its own machine: over its socket, a tenth of what a call through Ray costs."""
    return StoreClient(StoreLine(line, ActorCall(STORE)), user=user)


def replica(user: str, line: Path) -> Replica:
    """As `near_store`, with all that is read kept in the process that reads it."""
    source = StoreLine(line, ActorCall(STORE))
    return Replica(StoreClient(source, user=user), source)


def feed(user: str, line: Path) -> Feed:
    """As `near_store`, for one who watches everything: it is pushed to him."""
    source = StoreLine(line, ActorCall(STORE))
    return Feed(StoreClient(source, user=user), source)


class RayNodes:
    """NodesPort: the nodelets, by the name of their node."""

    def __init__(self) -> None:
        self._calls: dict[str, ActorCall] = {}

    async def read_log(self, node: str, request: LogRequest) -> LogChunk:
        answer = await self._ask(node, "read_log", request, request.wait_ms + LOG_SLACK_MS)
        return msgspec.msgpack.decode(answer, type=LogChunk)

    async def image(self, node: str, request: ImageRequest) -> ImageReply:
        answer = await self._ask(node, "image", request, request.wait_ms + IMAGE_SLACK_MS)
        return msgspec.msgpack.decode(answer, type=ImageReply)

    async def usage(self, node: str) -> NodeUsage:
        return msgspec.msgpack.decode(await self._ask(node, "usage", None, USAGE_MS), type=NodeUsage)

    async def open_stream(self, node: str, request: StreamRequest) -> Frames:
        answer = await self._ask(node, "open_stream", request, STREAM_MS)
        ticket = msgspec.msgpack.decode(answer, type=StreamTicket)
        try:
            return await redeem(ticket)
        except (OSError, TimeoutError) as error:
            where = f"{ticket.address}:{ticket.port}"
            raise Unavailable(f"the node {node} cannot be reached for streams at {where}: {error}") from error

    async def _ask(self, node: str, method: str, request: object, timeout_ms: int) -> bytes:
        call = self._calls.setdefault(node, ActorCall(NODELET_PREFIX + node))
        try:
            return bytes(await call(method, msgspec.msgpack.encode(request), timeout_ms))
        except TimeoutError as error:
            raise Unavailable(f"the node {node} does not answer") from error


class RayApi:
    """ApiPort: the gateway, as nodes ask it."""

    def __init__(self) -> None:
        self._call = ActorCall(GATEWAY)

    async def pod_token(self, request: PodTokenRequest) -> PodToken:
        return msgspec.msgpack.decode(await self._ask("pod_token", request), type=PodToken)

    async def api_address(self) -> ApiAddress:
        return msgspec.msgpack.decode(await self._ask("api_address", None), type=ApiAddress)

    async def _ask(self, method: str, request: object) -> bytes:
        try:
            return bytes(await self._call(method, msgspec.msgpack.encode(request), API_MS))
        except TimeoutError as error:
            raise Unavailable("the gateway does not answer") from error


class RayCluster:
    """ClusterPort: every actor of the control plane, each asked for its health at the same time."""

    def __init__(self) -> None:
        self._others: tuple[str, ...] = ()
        self._listed_at = -NODELETS_FRESH_SECONDS
        self._calls: dict[str, ActorCall] = {}

    async def actors(self) -> tuple[ActorHealth, ...]:
        names = (*CONTROL_PLANE, *await self._other_names())
        return tuple(await asyncio.gather(*map(self._health, names)))

    async def _other_names(self) -> tuple[str, ...]:
        """Nodelets, and the gateways after the first."""
        if time.monotonic() - self._listed_at > NODELETS_FRESH_SECONDS:
            try:
                async with asyncio.timeout(HEALTH_MS / 1000):
                    found = await asyncio.to_thread(ray.util.list_named_actors, True)
            except (TimeoutError, RayError):
                return self._others
            ours = (actor["name"] for actor in found if actor["namespace"] == RAY_NAMESPACE)
            self._others = tuple(sorted(name for name in ours if name.startswith((NODELET_PREFIX, GATEWAY_PREFIX))))
            self._listed_at = time.monotonic()
        return self._others

    async def _health(self, name: str) -> ActorHealth:
        call = self._calls.setdefault(name, ActorCall(name))
        try:
            health = await call.health(HEALTH_MS)
        except TimeoutError:
            return ActorHealth(name=name, alive=False, message=f"no answer within {HEALTH_MS} ms")
        except ApiError as error:
            return ActorHealth(name=name, alive=False, message=str(error))
        return ActorHealth(
            name=name,
            alive=True,
            node=health.pop("node", ""),
            restarts=health.pop("restarts", 0),
            uptime_ms=health.pop("uptime_ms", 0),
            message=health.pop("message", ""),
            health=health,
        )


def _told(name: str, cause: object) -> str:
    return f"{name} failed: {type(cause).__name__}: {cause}"


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__

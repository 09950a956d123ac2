"""What the gateway asks of the rest of the cluster besides the store. Implemented by `cluster.handles`, and by
`fake.py` for tests.

Every call is answered or fails within its own time limit: a node that is away raises `errors.Unavailable` with a
sentence that names it; nothing hangs.
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from actors.api.clock import Millis
from actors.api.images import ImageReply, ImageRequest
from actors.api.logs import LogChunk, LogRequest
from actors.api.streams import StreamRequest
from actors.api.usage import NodeUsage
from actors.nodelet.streams.frames import Frames


class NodesPort(Protocol):
    """The nodelets, by the name of their node."""

    async def read_log(self, node: str, request: LogRequest) -> LogChunk:
        """The next stretch of a container's log. Raises NotFound (no such log there), Unavailable (node away)."""
        ...

    async def image(self, node: str, request: ImageRequest) -> ImageReply:
        """One image verb. Raises NotFound, BadRequest, Unavailable."""
        ...

    async def usage(self, node: str) -> NodeUsage:
        """What it and its containers use now. Raises Unavailable (also when it has just begun to measure)."""
        ...

    async def open_stream(self, node: str, request: StreamRequest) -> Frames:
        """The gateway's end of a stream; what cannot be started is told on it. Closing it ends what was started.

        Raises NotFound (no such pod or running container there), TooManyRequests, Unavailable.
        """
        ...


class ActorHealth(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One actor of the control plane. `alive` False: it did not answer `health()` in time; `message` says why.

    `health` is what the actor's `health()` answered, `node` the raypod node it runs on ("" when unknown).
    """

    name: str
    alive: bool
    node: str = ""
    message: str = ""
    restarts: int = 0
    uptime_ms: Millis = 0
    health: dict[str, Any] = {}


class ClusterPort(Protocol):
    """The actors that make up the control plane."""

    async def actors(self) -> tuple[ActorHealth, ...]:
        """All of them, in a fixed order, each asked at most a second or two. Never raises for one that is away."""
        ...

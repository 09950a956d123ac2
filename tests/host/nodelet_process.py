"""A nodelet and its store in a process of their own, to be killed: commands on stdin, answers on stdout, JSON lines.

python nodelet_process.py STATE_DIR BRIDGE CLUSTER_CIDR
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from actors.api.codec import decode
from actors.api.errors import ApiError
from actors.api.key import Key
from actors.api.logs import LogChunk, LogRequest
from actors.nodelet.actor import NodeletActor, read_clock
from actors.nodelet.config import NodeletConfig
from actors.nodelet.fake import FakeApi
from actors.nodelet.host import Held
from actors.plugins.network.config import NetworkConfig
from actors.reconcile.actions import Create, Delete
from actors.store.backend.sqlite import SqliteBackend
from actors.store.local import LocalStore

NODE = "n1"


class Served:
    def __init__(self, state: Path, bridge: str, cidr: str) -> None:
        self.store = LocalStore(SqliteBackend(str(state / "store.db")))
        network = NetworkConfig(bridge=bridge, cluster_cidr=cidr, pod_cidr_prefix=24, masquerade=False)
        self.nodelet = NodeletActor(
            NodeletConfig(network=network),
            NODE,
            str(state / NODE),
            self.store,
            FakeApi(read_clock),
            address="127.0.0.1",
            held=Held(),
        )

    async def create(self, object: dict[str, Any]) -> Any:
        (reply,) = await self.store.commit([Create(resource="pods", namespace="default", object=object)])
        return reply.error

    async def delete(self, name: str, grace: int | None = None) -> Any:
        (reply,) = await self.store.commit([Delete(key=Key("pods", "default", name), grace_period_seconds=grace)])
        return reply.error

    async def get(self, name: str) -> Any:
        return decode(await self.store.get(Key("pods", "default", name)))

    async def log(self, name: str, container: str) -> str:
        """All of it."""
        text, cursor, ended = b"", "", False
        while not ended:
            request = LogRequest(namespace="default", pod=name, container=container, cursor=cursor, wait_ms=200)
            blob = await self.nodelet.read_log(msgspec.msgpack.encode(request))
            chunk = msgspec.msgpack.decode(blob, type=LogChunk)
            text, cursor, ended = text + chunk.lines, chunk.cursor, chunk.ended or not chunk.lines
        return text.decode()

    async def health(self) -> Any:
        return await self.nodelet.health()

    async def teardown(self) -> None:
        await self.nodelet.teardown()


async def serve(state: Path, bridge: str, cidr: str) -> None:
    served = Served(state, bridge, cidr)
    running = asyncio.create_task(served.nodelet.run())
    while line := await asyncio.to_thread(sys.stdin.readline):
        command = json.loads(line)
        try:
            answer = {"result": await getattr(served, command.pop("verb"))(**command)}
        except ApiError as error:
            answer = {"error": error.reason}
        print(json.dumps(answer), flush=True)
    running.cancel()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))

"""Every implementation of StorePort and of Backend. `pods` are made small: the suites are about the store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from line_support import listening, refuse

from actors.store.actor import StoreActor
from actors.store.backend.memory import MemoryBackend
from actors.store.backend.port import Backend
from actors.store.backend.sqlite import SqliteBackend
from actors.store.client import StoreClient
from actors.store.config import StoreConfig
from actors.store.engine import Engine
from actors.store.feed import Feed
from actors.store.ids import RandomIds
from actors.store.line.caller import StoreLine
from actors.store.local import LocalStore, read_clock
from actors.store.replica import Replica
from actors.store.sealing.backend import open_sealed
from actors.store.sealing.configuration import make_configuration
from actors.store.server import StoreServer


class ActorCall:
    """A transport in this process: what Ray's actor handle is elsewhere."""

    def __init__(self, actor: StoreActor) -> None:
        self._actor = actor

    async def __call__(self, method: str, blob: bytes, timeout_ms: int) -> bytes:
        answer: bytes = await getattr(self._actor, method)(blob)
        return answer


@pytest.fixture(
    params=["local-memory", "local-sqlite", "server-memory", "client-of-actor", "client-over-a-line", "replica", "feed"]
)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    path = str(tmp_path / "log.db")
    if request.param.startswith("local"):
        local = LocalStore(MemoryBackend() if request.param == "local-memory" else SqliteBackend(path))
        yield local
        local.close()
    elif request.param == "server-memory":
        engine = LocalStore(MemoryBackend()).engine
        server = StoreServer(Engine(engine.backend, RandomIds()), read_clock)
        yield server
        await server.close()
    elif request.param == "client-of-actor":
        actor = StoreActor(StoreConfig(), path)
        yield StoreClient(ActorCall(actor))
        await actor.close()
    else:
        async with listening(tmp_path) as line:
            source = StoreLine(line, refuse)
            client = StoreClient(source)
            ports = {"client-over-a-line": client, "replica": Replica(client, source), "feed": Feed(client, source)}
            port: Any = ports[request.param]
            yield port
            if port is not client:
                await port.close()


Reopen = Callable[[], Backend]


@pytest.fixture(params=["memory", "sqlite", "sealed"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Reopen]:
    """A backend on the same disk each time it is called; the one before is closed."""
    opened: list[Any] = []
    encryption = tmp_path / "encryption.yaml"
    encryption.write_text(make_configuration().replace("- secrets", "- '*.*'"))

    def open_again() -> Backend:
        disk = bytes(opened[-1].disk) if opened and request.param == "memory" else b""
        if opened:
            opened[-1].close()
        backend: Any
        if request.param == "sealed":
            backend = open_sealed(tmp_path / "log.db", str(encryption), "")
        else:
            backend = MemoryBackend(disk) if request.param == "memory" else SqliteBackend(str(tmp_path / "log.db"))
        opened.append(backend)
        return backend

    yield open_again
    for backend in opened:
        backend.close()

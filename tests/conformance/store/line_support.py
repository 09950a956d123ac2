"""A store that answers at a Unix socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from actors.store.actor import StoreActor
from actors.store.config import StoreConfig


async def refuse(method: str, blob: bytes, timeout_ms: int) -> bytes:
    raise AssertionError("there is a line to call through")


@asynccontextmanager
async def listening(folder: Path) -> AsyncIterator[Path]:
    """A store that answers at a socket in a folder too deep for a socket's path."""
    line = folder / ("deep" * 30) / "line.sock"
    line.parent.mkdir(exist_ok=True)
    actor = StoreActor(StoreConfig(), str(folder / "log.db"), None, str(line))
    await actor.listen()
    try:
        yield line
    finally:
        await actor.close()

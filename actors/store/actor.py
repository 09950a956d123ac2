"""The store as an actor: blobs in, blobs out, over a StoreServer on SQLite. One per cluster, on the head node.

kill -9 at any time loses nothing that was acknowledged: a new one on the same path goes on from the last commit. Long
polls only wait, so they hold up no commit; run it as an async actor with room for all watchers (max_concurrency).
"""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from actors.api.errors import ApiError, InternalError
from actors.store import wire
from actors.store.backend.port import Backend
from actors.store.bootstrap import bootstrap_writes
from actors.store.commits import submit_blob
from actors.store.config import StoreConfig
from actors.store.engine import Engine
from actors.store.ids import RandomIds
from actors.store.line.listener import Direct, Listener
from actors.store.local import read_clock
from actors.store.sealing.backend import open_sealed
from actors.store.server import StoreServer


class StoreActor:
    def __init__(
        self, config: StoreConfig, path: str, backend: Backend | None = None, line: str = "", home: str = ""
    ) -> None:
        """`path`: of the SQLite file; its directory is made. `line`: of a Unix socket to listen at, too, while it runs.
        `home`: where the keys lie by which the file is sealed.

        Fails with BackendError when the file cannot be opened.
        """
        os.makedirs(os.path.dirname(os.path.abspath(path)), mode=0o700, exist_ok=True)
        opened = backend or open_sealed(Path(path), config.encryption_file, home)
        engine = Engine(opened, RandomIds(), config)
        engine.commit(bootstrap_writes(config), read_clock())
        gc.freeze()  # What was recovered lives long: full collections need not walk it.
        self._config = config
        self._path = path
        self._server = StoreServer(engine, read_clock)
        self._line = line
        direct: dict[str, Direct] = {"commit": partial(submit_blob, self._server), "revision": self._tell_revision}
        self._listener = Listener(self._call, direct, self._server.followers)

    async def run(self) -> None:
        """Listen, and do housekeeping, for ever: old history, expired Events."""
        await self.listen()
        try:
            await self._server.run()
        finally:
            self._listener.close()

    async def listen(self) -> None:
        """Take calls at the socket. Raises OSError."""
        if self._line:
            await self._listener.open(Path(self._line))

    async def _call(self, method: str, blob: bytes) -> bytes:
        answer: bytes = await getattr(self, method)(blob)
        return answer

    def _tell_revision(self, _: bytes, answer: Callable[[bytes], None]) -> None:
        answer(wire.encode_result(self._server.engine.revision))

    async def commit(self, blob: bytes) -> bytes:
        """tuple[Request, ...] -> tuple[Committed, ...]: the commits of many callers in one blob."""
        told: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        submit_blob(self._server, blob, lambda answer: told.set_result(answer) if not told.done() else None)
        return await told

    async def get(self, blob: bytes) -> bytes:
        """tuple[GetCall, ...] -> tuple[Found, ...]: the gets of many callers in one blob."""
        return await _answered(self._get(blob))

    async def _get(self, blob: bytes) -> object:
        return [await self._get_one(call) for call in wire.decode_call(blob, tuple[wire.GetCall, ...])]

    async def _get_one(self, call: wire.GetCall) -> wire.Found:
        try:
            return wire.Found(await self._server.get(call.key, call.revision))
        except ApiError as error:
            return wire.Found(error=error.to_status())

    async def list(self, blob: bytes) -> bytes:
        """ListCall -> Page."""
        return await _answered(self._list(blob))

    async def _list(self, blob: bytes) -> object:
        call = wire.decode_call(blob, wire.ListCall)
        return await self._server.list(call.selection, limit=call.limit, cursor=call.cursor, revision=call.revision)

    async def revision_at(self, blob: bytes) -> bytes:
        """Millis -> int."""
        return await _answered(self._server.revision_at(wire.decode_call(blob, int)))

    async def revision(self, blob: bytes) -> bytes:
        """None -> int: of the last commit that anybody may have heard of."""
        return wire.encode_result(self._server.engine.revision)

    async def history(self, blob: bytes) -> bytes:
        """HistoryCall -> History."""
        return await _answered(self._history(blob))

    async def _history(self, blob: bytes) -> object:
        call = wire.decode_call(blob, wire.HistoryCall)
        return await self._server.history(call.selection, call.since, call.until)

    async def watch(self, blob: bytes) -> bytes:
        """WatchCall -> WatchBatch."""
        return await _answered(self._watch(blob))

    async def _watch(self, blob: bytes) -> object:
        call = wire.decode_call(blob, wire.WatchCall)
        return await self._server.watch(call.selection, call.since, call.timeout_ms)

    async def health(self) -> dict[str, object]:
        log = self._server.engine.log
        return {"pid": os.getpid(), "path": self._path, "revision": log.revision, "objects": log.count()}

    async def close(self) -> None:
        self._listener.close()
        await self._server.close()


async def _answered(result: Awaitable[object]) -> bytes:
    try:
        return wire.encode_result(await result)
    except ApiError as error:
        return wire.encode_error(error)
    except (TypeError, ValueError, KeyError, RecursionError) as error:
        return wire.encode_error(InternalError(f"the store failed: {type(error).__name__}: {error}"))

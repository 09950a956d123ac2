"""The scheduler's shell: one core, one loop against the store. `cluster` binds it to Ray."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from actors.admission.profile import admitted
from actors.api.clock import Millis
from actors.scheduler.config import SchedulerConfig
from actors.scheduler.core import SchedulerCore
from actors.store.loop import run_core
from actors.store.port import StorePort

#: As admission sees the scheduler.
_USER = "system:kube-scheduler"


def read_clock() -> Millis:
    return time.time_ns() // 1_000_000


class SchedulerActor:
    """`run` returns only when `stop` was called. A second scheduler beside it would be refused its binds.

    Its binds pass admission as users' writes do.
    """

    def __init__(self, config: SchedulerConfig, store: StorePort) -> None:
        self._store = store
        self._core = SchedulerCore(config)
        self._stop = asyncio.Event()

    async def run(self) -> None:
        async with admitted(self._store, _USER) as store:
            await run_core(self._core, store, read_clock, self._stop)

    async def stop(self) -> None:
        self._stop.set()

    async def health(self) -> dict[str, Any]:
        return {"ok": True, "nodes": len(self._core.cache.nodes), "pending": self._core.pending_count}

"""The controllers' shell: one core with all controllers, one loop against the store. `cluster` binds it to Ray."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from actors.admission.profile import admitted
from actors.api.clock import Millis
from actors.controllers.config import ControllersConfig
from actors.controllers.core import ControllersCore
from actors.controllers.profile import all_controllers
from actors.store.loop import run_core
from actors.store.port import StorePort

#: As admission sees the controllers.
_USER = "system:kube-controller-manager"


def read_clock() -> Millis:
    return time.time_ns() // 1_000_000


class ControllersActor:
    """`run` returns only when `stop` was called. What is written passes admission, as users' writes do."""

    def __init__(self, config: ControllersConfig, store: StorePort) -> None:
        self._store = store
        self._core = ControllersCore(all_controllers(config), writes_max=config.writes_max)
        self._stop = asyncio.Event()

    async def run(self) -> None:
        async with admitted(self._store, _USER) as store:
            await run_core(self._core, store, read_clock, self._stop)

    async def stop(self) -> None:
        self._stop.set()

    async def health(self) -> dict[str, Any]:
        return {"ok": True, "objects": len(self._core.view.keys()), "queued": self._core.queued_count}

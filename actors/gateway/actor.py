"""The gateway as an actor. Bound to Ray by `cluster`. It holds no state: a restart loses nothing but open replies."""

from __future__ import annotations

import asyncio
from typing import Any

from actors.gateway.config import GatewayConfig
from actors.gateway.port import ClusterPort, NodesPort
from actors.gateway.server import Gateway
from actors.store.port import StorePort


class GatewayActor:
    def __init__(self, config: GatewayConfig, store: StorePort, nodes: NodesPort, cluster: ClusterPort) -> None:
        self._gateway = Gateway(config, store, nodes, cluster)
        self._ready = asyncio.Event()
        self._stopped = asyncio.Event()

    async def run(self) -> None:
        """Serve until `stop`. Raises GatewayError, pki.PkiError when it cannot start."""
        await self._gateway.start()
        self._ready.set()
        try:
            await self._stopped.wait()
        finally:
            self._ready.clear()
            await self._gateway.stop()

    async def stop(self) -> None:
        self._stopped.set()

    async def health(self) -> dict[str, Any]:
        app = self._gateway.app
        return {
            "ready": self._ready.is_set(),
            "url": self._gateway.url,
            "kubeconfig": str(self._gateway.kubeconfig),
            "requests": app.requests,
            "failures": app.failures,
        }

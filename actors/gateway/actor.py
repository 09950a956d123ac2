"""The gateway as an actor. Bound to Ray by `cluster`. It holds no state: a restart loses nothing but open replies."""

from __future__ import annotations

import asyncio
import gc
import os
from typing import Any

import msgspec

from actors.api.tokens import ApiAddress, PodTokenRequest
from actors.gateway.config import GatewayConfig
from actors.gateway.endpoints import outer_address, tell_endpoints
from actors.gateway.port import ClusterPort, NodesPort
from actors.gateway.server import Gateway
from actors.gateway.token_requests import issue_pod_token
from actors.store.port import StorePort

#: A request makes hundreds of objects that hold others, nearly none of them in cycles: look for these less often.
_GC_THRESHOLD = 20_000
_WILDCARDS = ("", "0.0.0.0", "::")


class GatewayActor:
    def __init__(
        self,
        config: GatewayConfig,
        store: StorePort,
        nodes: NodesPort,
        cluster: ClusterPort,
        service_ip: str,
        number: int = 0,
    ) -> None:
        """`service_ip`: by which pods reach it, too. `number`: which of `config.replicas`."""
        self._service_ip = service_ip
        self._store = store
        self._host = config.host if config.host not in _WILDCARDS else read_address()
        self._outer = outer_address(self._host) if config.host in _WILDCARDS else self._host
        known = msgspec.structs.replace(config, sans=(*config.sans, self._host, service_ip))
        self._gateway = Gateway(known, store, nodes, cluster, number)
        self._ready = asyncio.Event()
        self._stopped = asyncio.Event()

    async def run(self) -> None:
        """Serve until `stop`. Raises GatewayError, pki.PkiError when it cannot start."""
        await self._gateway.start()
        gc.freeze()
        gc.set_threshold(_GC_THRESHOLD)
        self._ready.set()
        await tell_endpoints(self._store, self._outer, self._gateway.port)
        try:
            await self._stopped.wait()
        finally:
            self._ready.clear()
            await self._gateway.stop()

    async def stop(self) -> None:
        self._stopped.set()

    async def pod_token(self, blob: bytes) -> bytes:
        """PodTokenRequest -> PodToken, for nodes. Raises NotFound, Conflict, BadRequest."""
        request = msgspec.msgpack.decode(blob, type=PodTokenRequest)
        return msgspec.msgpack.encode(await issue_pod_token(self._gateway.app.backend, request))

    async def api_address(self, blob: bytes) -> bytes:
        """ApiAddress: where other hosts, and pods, reach this gateway."""
        return msgspec.msgpack.encode(ApiAddress(self._host, self._gateway.port, self._service_ip))

    async def health(self) -> dict[str, Any]:
        app = self._gateway.app
        return {
            "ready": self._ready.is_set(),
            "pid": os.getpid(),
            "url": self._gateway.url,
            "kubeconfig": str(self._gateway.kubeconfig),
            "requests": app.requests,
            "failures": app.failures,
        }


def read_address() -> str:
    """Of this host, as Ray knows it. (Ray is imported where it runs, for the zygote loads this module before it.)"""
    import ray

    return str(ray.util.get_node_ip_address()) if ray.is_initialized() else "127.0.0.1"

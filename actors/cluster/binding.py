"""Plain classes to Ray actors: which class, with which arguments, under which options. The one place that does so.

The class is imported where the actor runs, not by whoever starts it. Each actor begins its main loop by itself, also
when Ray has started it again, and answers `cluster_health`; a main loop that ends or fails is recorded and begun again.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import threading
import time
import warnings
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any

import msgspec
import ray

from actors.api.errors import Unavailable
from actors.cluster.config import ClusterConfig
from actors.cluster.handles import RayApi, RayCluster, RayNodes, feed, near_store, ray_store, replica
from actors.cluster.home import Home
from actors.cluster.loops import new_loop
from actors.cluster.topology import CONTROLLERS, SCHEDULER, STORE, SUPERVISOR, ActorSpec, gateway_number
from actors.gateway.pki import read_ca
from actors.store.bootstrap import api_service_ip

_LOG = logging.getLogger(__name__)
RUN_AGAIN_SECONDS = 1.0
MAKE_SECONDS = 4.0


def start_actor(spec: ActorSpec, config: ClusterConfig, home: Home, embedded: bool) -> Any:
    """The handle of the actor, started unless it is there. Does not wait for it."""
    module, name, arguments = plan_part(spec, config, home, embedded)
    cls = type(name, (Part,), {"__doc__": Part.__doc__, "__module__": __name__})
    return ray.remote(**spec.options)(cls).remote(module, name, spec.node, *arguments)


def plan_part(spec: ActorSpec, config: ClusterConfig, home: Home, embedded: bool) -> tuple[str, str, tuple[Any, ...]]:
    """Module, class and constructor arguments of an actor."""
    store = near_store(f"system:{spec.name}", home.store_line)
    match spec.name:
        case name if name == STORE:
            places = (str(home.store), None, str(home.store_line), str(home.root))
            return "actors.store.actor", "StoreActor", (config.store, *places)
        case name if (number := gateway_number(name)) is not None:
            read_ca(config.gateway.home_path, datetime.now(UTC))  # before any other part asks for it
            mirror = replica(f"system:{spec.name}", home.store_line)
            service_ip = api_service_ip(config.store)
            arguments = (config.gateway, mirror, RayNodes(), RayCluster(), service_ip, number)
            return "actors.gateway.actor", "GatewayActor", arguments
        case name if name == SCHEDULER:
            return "actors.scheduler.actor", "SchedulerActor", (config.scheduler, store)
        case name if name == CONTROLLERS:
            ca_pem = config.controllers.ca_pem or read_ca(config.gateway.home_path, datetime.now(UTC))
            controllers = msgspec.structs.replace(config.controllers, ca_pem=ca_pem)
            follower = feed(f"system:{spec.name}", home.store_line)
            return (
                "actors.controllers.actor",
                "ControllersActor",
                (controllers, follower),
            )
        case name if name == SUPERVISOR:
            return "actors.cluster.supervisor", "SupervisorActor", (config, str(home.root), spec.node, embedded)
    state = str(home.nodes / spec.node)
    return (
        "actors.nodelet.actor",
        "NodeletActor",
        (config.nodelet, spec.node, state, ray_store(f"system:node:{spec.node}"), RayApi()),
    )


class Part:
    """One part of the control plane inside its Ray actor, on an event loop of its own.

    Not on Ray's loop, for Ray calls nothing on an actor that it has started again, and a call of the actor on itself
    may get lost. What cannot be made (a full disk, a taken port) is tried again, and every caller is told why.
    """

    def __init__(self, module: str, name: str, node: str, *arguments: object) -> None:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._node, self._failure, self._since = node, "", time.monotonic()
        with warnings.catch_warnings(action="ignore"):  # of a deprecation within Ray itself
            self._restarted = ray.get_runtime_context().was_current_actor_reconstructed
        self._part: Any = None
        self._loop = new_loop(module)
        self._made = asyncio.Event()
        live = self._live(module, name, arguments)
        threading.Thread(target=self._loop.run_until_complete, args=(live,), name="part", daemon=True).start()

    async def cluster_call(self, method: str, *arguments: object) -> Any:
        """A method of the part itself."""
        return await self._on_loop(self._call(method, arguments))

    async def cluster_health(self) -> dict[str, Any]:
        health = dict(await self._on_loop(self._call("health", ()))) if self._part is not None else {"ready": False}
        health["node"] = self._node
        health["uptime_ms"] = int(1000 * (time.monotonic() - self._since))
        health["restarts"] = int(self._restarted)
        health["message"] = self._failure
        return health

    async def _on_loop(self, work: Coroutine[Any, Any, Any]) -> Any:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def _call(self, method: str, arguments: tuple[object, ...]) -> Any:
        try:
            async with asyncio.timeout(MAKE_SECONDS):
                await self._made.wait()
        except TimeoutError:
            raise Unavailable(self._failure or "it is still starting") from None
        return await getattr(self._part, method)(*arguments)

    async def _live(self, module: str, name: str, arguments: tuple[object, ...]) -> None:
        """Make the part, run its main loop, for ever."""
        while True:
            try:
                if self._part is None:
                    self._part = getattr(importlib.import_module(module), name)(*arguments)
                    self._made.set()
                await self._part.run()
                self._failure = "its main loop ended and is begun again"
            except Exception as error:
                self._failure = f"{type(error).__name__}: {error}"
                _LOG.exception("%s failed and is begun again", name)
            await asyncio.sleep(RUN_AGAIN_SECONDS)

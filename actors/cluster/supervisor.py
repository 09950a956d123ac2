"""The supervisor actor: makes what is into what should be, once a second. Ray itself starts it again when it dies.

It starts actors that are missing (a Ray node that joined gets its nodelet), tells the store early of nodes that Ray
saw die, and starts the keeper again on the machine of an embedded head. Nothing waits for it: without it all parts
work on, only unsupervised.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from typing import Any

import ray

from actors.api.clock import Millis
from actors.cluster.binding import start_actor
from actors.cluster.config import ClusterConfig
from actors.cluster.handles import ray_store
from actors.cluster.home import Home, home_of
from actors.cluster.keeper import is_kept, read_state, spawn_keeper
from actors.cluster.lost_nodes import LostNodes
from actors.cluster.sightings import read_actors, read_nodes
from actors.cluster.topology import RAY_NAMESPACE, SUPERVISOR, Plan, RayNode, plan_actors

_LOG = logging.getLogger(__name__)
RAY_ANSWER_SECONDS = 10.0


class SupervisorActor:
    """`head`: the name of the node where the control plane runs. `embedded`: its Ray is ours to keep alive."""

    def __init__(self, config: ClusterConfig, home: str, head: str, embedded: bool) -> None:
        self._config, self._head, self._embedded = config, head, embedded
        self._home: Home = home_of(home)
        self._lost = LostNodes(ray_store(f"system:{SUPERVISOR}"), config.supervisor.node_grace_ms)
        self._nodes: list[RayNode] = []
        self._started = 0

    async def run(self) -> None:
        while True:
            began = time.monotonic()
            try:
                async with asyncio.timeout(RAY_ANSWER_SECONDS):
                    await self._look()
            except Exception as error:
                _LOG.warning("Ray does not tell what there is: %s: %s", type(error).__name__, error)
            await asyncio.sleep(max(0.1, self._config.supervisor.period_ms / 1000 - (time.monotonic() - began)))

    async def health(self) -> dict[str, Any]:
        alive = sum(node.alive for node in self._nodes)
        return {"pid": os.getpid(), "ray_nodes": alive, "started": self._started, "kept": is_kept(self._home)}

    async def _look(self) -> None:
        if self._embedded and not is_kept(self._home) and read_state(self._home) is not None:
            _LOG.warning("the keeper is gone and is started again")
            spawn_keeper(self._home)
        self._nodes = await asyncio.to_thread(read_nodes)
        seen = await asyncio.to_thread(read_actors)
        config = self._config
        cpus_left, gateways = config.ray.cpus_left, config.gateway.replicas
        plan = plan_actors(self._nodes, seen, self._head, cpus_left=cpus_left, gateways=gateways)
        await asyncio.to_thread(self._carry_out, plan)
        await self._lost.observe(self._nodes, _now())

    def _carry_out(self, plan: Plan) -> None:
        for name in plan.stop:
            _LOG.warning("%s waits for a Ray node that is gone: replaced", name)
            ray.kill(ray.get_actor(name, RAY_NAMESPACE), no_restart=True)
        for spec in plan.start:
            _LOG.info("starting %s on %s", spec.name, spec.node)
            start_actor(spec, self._config, self._home, self._embedded)
            self._started += 1


def _now() -> Millis:
    return time.time_ns() // 1_000_000

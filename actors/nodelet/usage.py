"""What the node and its containers use: read now and then, and whenever somebody asks."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from actors.api.clock import Millis
from actors.api.errors import Unavailable
from actors.api.usage import ContainerUsage, NodeUsage
from actors.nodelet.meter import WINDOW_MS, Meter, Reading
from actors.plugins.errors import PluginError
from actors.plugins.runtime.port import ContainerStatus, RuntimePort

_NODE = ""
#: /proc/stat's first line: user, nice, system, idle, iowait, irq, softirq, steal. Guests are in user already.
_BUSY = (0, 1, 2, 5, 6, 7)


class UsageDesk:
    """`running` names the pod of each container: (pod uid, status)."""

    def __init__(
        self,
        runtime: RuntimePort,
        running: Callable[[], Iterable[tuple[str, ContainerStatus]]],
        clock: Callable[[], Millis],
        root: Path = Path("/"),
    ) -> None:
        self._runtime, self._running, self._clock, self._root = runtime, running, clock, root
        self._meter = Meter()

    async def run(self) -> None:
        """For ever: rates are told from readings that are not much older than a window."""
        while True:
            with contextlib.suppress(Unavailable):  # the next round asks again
                await self.read()
            await asyncio.sleep(WINDOW_MS / 1_000)

    async def read(self) -> NodeUsage:
        """Raises Unavailable: the runtime does not answer, or the node was read for the first time."""
        try:
            stats = await self._runtime.list_container_stats()
        except PluginError as error:
            raise Unavailable(f"the runtime does not tell what its containers use: {error}") from error
        readings = {one.id: Reading(one.at_ms, one.cpu_ns, one.memory_bytes) for one in stats}
        readings[_NODE] = read_machine(self._clock(), self._root)
        running = list(self._running())
        usages = self._meter.read(readings, {status.spec.id: status.started_at_ms for _, status in running})
        if _NODE not in usages:
            raise Unavailable("the node has just begun to measure", retry_after_seconds=1)
        containers = (
            ContainerUsage(pod_uid=uid, name=status.spec.name, usage=usages[status.spec.id])
            for uid, status in running
            if status.spec.id in usages
        )
        return NodeUsage(node=usages[_NODE], containers=tuple(containers))


def read_machine(at_ms: Millis, root: Path) -> Reading:
    """Of /proc/stat and /proc/meminfo. Memory: all that is not available to new programs."""
    ticks = [int(word) for word in (root / "proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    busy_ns = sum(ticks[i] for i in _BUSY if i < len(ticks)) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    kib = {name: int(rest.split()[0]) for name, rest in map(_entry, (root / "proc/meminfo").read_text().splitlines())}
    return Reading(at_ms, busy_ns, 1_024 * (kib["MemTotal"] - kib["MemAvailable"]))


def _entry(line: str) -> tuple[str, str]:
    name, _, rest = line.partition(":")
    return name, rest

"""port-forward: local ports that lead into a run's container."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer

_STOPPED_BY_USER = 130


def port_forward(
    name: Annotated[str, typer.Argument(help="the run's name")],
    ports: Annotated[list[str], typer.Argument(help="PORT, LOCAL:REMOTE or :REMOTE (any that is free here); TCP")],
    replica: Annotated[int, typer.Option(help="to which replica's container")] = 0,
    address: Annotated[str, typer.Option(help="where to listen; 0.0.0.0 lets others in, too")] = "localhost",
) -> None:
    """Listen here and lead every connection to a port within a run's container, until Ctrl-C or its end."""
    sys.exit(asyncio.run(_forward(name, ports, replica, address)))


async def _forward(name: str, ports: list[str], replica: int, address: str) -> int:
    from raypod.cluster import AsyncCluster
    from raypod.errors import RaypodError

    async with AsyncCluster(start=False) as cluster:
        run = await cluster.get(name)
        try:
            async with run.port_forward(*ports, replica=replica, address=address, told=_complain) as forwarding:
                for local, remote in forwarding.ports:
                    sys.stdout.write(f"Forwarding from {address}:{local} -> {remote}\n")
                sys.stdout.flush()
                await run.wait()
        except asyncio.CancelledError:
            return _STOPPED_BY_USER
    raise RaypodError(f"{name} has ended, and its ports with it")


def _complain(sentence: str) -> None:
    sys.stderr.write(f"raypod: {sentence}\n")

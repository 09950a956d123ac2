"""cp: files into and out of a run's containers."""

from __future__ import annotations

import asyncio
import re
import sys
from typing import Annotated

import typer

_REMOTE = re.compile(r"(?P<name>[a-z0-9]([-a-z0-9]*[a-z0-9])?):(?P<path>.*)\Z", re.DOTALL)
_STOPPED_BY_USER = 130


def cp(
    source: Annotated[str, typer.Argument(help="a path here, or NAME:PATH in the run's container")],
    target: Annotated[str, typer.Argument(help="the other way round")],
    replica: Annotated[int, typer.Option(help="in which replica's container")] = 0,
) -> None:
    """Copy a file or folder into a run's container or out of it, which needs tar there."""
    sys.exit(asyncio.run(_cp(source, target, replica)))


async def _cp(source: str, target: str, replica: int) -> int:
    """Raises ValueError unless exactly one of them is in a container."""
    there, here = parse_place(target), parse_place(source)
    if (there is None) == (here is None):
        raise ValueError(
            "cp: one of the two is NAME:PATH, a path in a run's container (a path here with a colon: ./a:b)"
        )
    from raypod.cluster import AsyncCluster

    name, path = there or here or ("", "")
    async with AsyncCluster(start=False) as cluster:
        run = await cluster.get(name)
        try:
            if there is not None:
                await run.copy_to(source, path, replica=replica)
                return 0
            for words in await run.copy_from(path, target, replica=replica):
                sys.stderr.write(f"raypod: left out {words}\n")
        except asyncio.CancelledError:
            return _STOPPED_BY_USER
    return 0


def parse_place(word: str) -> tuple[str, str] | None:
    """(run, path) of NAME:PATH; None of a path here."""
    match = _REMOTE.match(word)
    return (match["name"], match["path"]) if match else None

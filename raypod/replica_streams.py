"""What users do in a run's containers: commands, the process itself, files, ports. Each names its replica."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from os import PathLike, fspath
from typing import Any, Literal

from aiohttp import ClientWebSocketResponse

from raypod.api import ApiClient
from raypod.copying import copy_from, copy_to
from raypod.errors import NotFound
from raypod.execution import STDERR, ExecResult, Execution, open_attachment, open_execution, run_to_end, talk
from raypod.forwarding import PROTOCOL, Forwarding

Object = dict[str, Any]


class ReplicaStreams:
    """The part of AsyncRun that talks to containers."""

    async def exec(
        self, command: Sequence[str], *, replica: int = 0, input: bytes | None = None, timeout: float | None = None
    ) -> ExecResult:
        """Run a command to its end in a replica's container, beside its own process, `input` being all it can read.

        Raises NotFound for a replica that does not run, RaypodError for a command that cannot be started, TimeoutError
        (seconds), after killing it.
        """
        async with asyncio.timeout(timeout):
            execution = await self.open_exec(command, replica=replica, stdin=input is not None)
            return await run_to_end(execution, input)

    async def open_exec(
        self, command: Sequence[str], *, replica: int = 0, stdin: bool = False, tty: bool = False
    ) -> Execution:
        """Start it, and talk to it. Closing it ends it. Raises as `exec`."""
        api, _, path = await self._replica_path(replica)
        return await open_execution(api, path, command, stdin=stdin, tty=tty)

    async def open_attach(self, *, replica: int = 0, stdin: bool = False, output: bool = True) -> Execution:
        """To a replica's own process: what it says from now on, and with `stdin` its input, if the run has one.
        Closing it stops nothing, but ends an input. Raises NotFound for a replica that does not run."""
        api, pod, path = await self._replica_path(replica)
        tty = bool(pod["spec"]["containers"][0].get("tty"))
        return await open_attachment(api, path, stdin=stdin, output=output, tty=tty)

    async def attach(
        self, *, replica: int = 0, input: bytes | None = None
    ) -> AsyncIterator[tuple[Literal["Stdout", "Stderr"], bytes]]:
        """What a replica's own process says from now on, as it comes, until it ends; `input` is written to its input
        first, which then is at its end where the run was made with `stdin`. Raises as `open_attach`."""
        async with aclosing(await self.open_attach(replica=replica, stdin=input is not None)) as attached:
            async for channel, data in talk(attached, input):
                yield ("Stderr" if channel == STDERR else "Stdout"), data

    async def copy_to(self, source: str | PathLike[str], target: str, *, replica: int = 0) -> None:
        """A file or folder from here into a replica's container, which must have `tar`.

        Names are as with `cp -r`: into a folder that exists it goes under its own name, and FOLDER/. is what a folder
        holds. Raises CopyError, OSError (of what is here), NotFound for a replica that does not run.
        """
        await copy_to(await self._opener(replica), fspath(source), target)

    async def copy_from(self, source: str, target: str | PathLike[str], *, replica: int = 0) -> list[str]:
        """A file or folder from a replica's container to here; see `copy_to`. The container is not trusted: nothing is
        written outside of `target`. What was left out (devices, links that lead elsewhere) is answered in words."""
        return await copy_from(await self._opener(replica), source, fspath(target))

    def port_forward(
        self,
        *ports: int | str,
        replica: int = 0,
        address: str = "localhost",
        told: Callable[[str], None] = lambda sentence: None,
    ) -> Forwarding:
        """Local TCP ports that lead to a replica's, while it is open: 8080, "5000:8080", ":8080" (any that is free).

        async with run.port_forward(":8080") as forwarding: ((local, _),) = forwarding.ports

        `told`: hears why a connection came to nothing. Raises ValueError; RaypodError when it is opened.
        """
        known: list[tuple[ApiClient, str]] = []

        async def connect(port: int) -> ClientWebSocketResponse:
            asked = [("ports", str(port))]
            with suppress(NotFound):  # another pod may have taken its place
                for api, path in known:
                    return await api.websocket(f"{path}/portforward", asked, PROTOCOL)
            api, _, path = await self._replica_path(replica)
            known[:] = [(api, path)]
            return await api.websocket(f"{path}/portforward", asked, PROTOCOL)

        return Forwarding(connect, ports, address, told)

    async def _opener(self, replica: int) -> Callable[..., Awaitable[Execution]]:
        """`open_exec` for several commands one after the other, in the same pod."""
        api, _, path = await self._replica_path(replica)
        return lambda command, *, stdin: open_execution(api, path, command, stdin=stdin)

    @abstractmethod
    async def _replica_path(self, replica: int) -> tuple[ApiClient, Object, str]:
        """The API, the pod of a replica and its path. Raises NotFound."""

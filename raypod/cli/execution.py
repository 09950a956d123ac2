"""exec and attach: a command in a container that runs, and its own process."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import termios
import tty as terminal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from raypod.errors import RaypodError

if TYPE_CHECKING:
    from raypod.execution import Execution

_CHUNK_BYTES = 32 << 10
_STOPPED_BY_USER = 130
#: How long after the end of what a container says its exit code is waited for.
_CODE_SECONDS = 10.0


def exec_(
    name: Annotated[str, typer.Argument(help="the run's name")],
    command: Annotated[list[str], typer.Argument(help="after --: the command and its arguments")],
    replica: Annotated[int, typer.Option(help="in which replica's container")] = 0,
    stdin: Annotated[bool, typer.Option("-i", "--stdin", help="pass standard input on")] = False,
    tty: Annotated[bool, typer.Option("-t", "--tty", help="with a terminal; ours must be one")] = False,
) -> None:
    """Run a command in a run's container, and exit with its code. It ends with this command."""
    _check_terminal(tty)
    sys.exit(asyncio.run(_exec(name, command, replica, stdin or tty, tty)))


def attach(
    name: Annotated[str, typer.Argument(help="the run's name")],
    replica: Annotated[int, typer.Option(help="to which replica's container")] = 0,
    stdin: Annotated[bool, typer.Option("-i", "--stdin", help="pass standard input on, if the run has one")] = False,
    tty: Annotated[bool, typer.Option("-t", "--tty", help="the run has a terminal; ours must be one")] = False,
) -> None:
    """Show what a run's own process says from now on, and exit with its code. Ctrl-C leaves it running."""
    _check_terminal(tty)
    sys.exit(asyncio.run(_attach(name, replica, stdin or tty, tty)))


def _check_terminal(tty: bool) -> None:
    if tty and not sys.stdin.isatty():
        raise ValueError("-t: standard input is no terminal; leave -t out")


async def _exec(name: str, command: Sequence[str], replica: int, stdin: bool, tty: bool) -> int:
    from raypod.cluster import AsyncCluster
    from raypod.errors import CommandNotStarted

    async with AsyncCluster(start=False) as cluster:
        run = await cluster.get(name)
        execution = await run.open_exec(command, replica=replica, stdin=stdin, tty=tty)
        try:
            if not await _talk(execution, stdin, tty):
                return _STOPPED_BY_USER
        except CommandNotStarted as error:
            sys.stderr.write(f"raypod: {error}\n")
            return error.exit_code
        return execution.exit_code


async def _attach(name: str, replica: int, stdin: bool, tty: bool) -> int:
    """Its exit code is the run's to tell, a moment after it has ended."""
    from raypod.cluster import AsyncCluster

    async with AsyncCluster(start=False) as cluster:
        run = await cluster.get(name)
        if not await _talk(await run.open_attach(replica=replica, stdin=stdin), stdin, tty):
            return _STOPPED_BY_USER
        async for status in run.watch(_CODE_SECONDS):
            codes = status.exit_codes[replica : replica + 1]
            if codes and codes[0] is not None:
                return codes[0]
        raise RaypodError(f"the connection to replica {replica} of {name} has ended, and it has not: attach again")


async def _talk(execution: Execution, stdin: bool, tty: bool) -> bool:
    """Until it has ended; False: until Ctrl-C."""
    from raypod.execution import STDERR

    tasks = [asyncio.create_task(_feed(execution))] if stdin else []
    try:
        with _raw_terminal(execution, tasks) if tty else nullcontext():
            async for channel, data in execution.read():
                out = sys.stderr.buffer if channel == STDERR else sys.stdout.buffer
                out.write(data)
                out.flush()
    except asyncio.CancelledError:
        return False
    finally:
        for task in tasks:
            task.cancel()
        await execution.close()
    return True


async def _feed(execution: Execution) -> None:
    """Reads as the terminal or the pipe gives; a thread that still waits for it ends with the process."""
    loop = asyncio.get_running_loop()
    while True:
        ready: asyncio.Future[bytes] = loop.create_future()
        _read_in_thread(loop, ready)
        data = await ready
        if not data:
            break
        await execution.write(data)
    await execution.close_stdin()


def _read_in_thread(loop: asyncio.AbstractEventLoop, ready: asyncio.Future[bytes]) -> None:
    import threading

    def settle(data: bytes) -> None:
        if not ready.done():
            ready.set_result(data)

    def read() -> None:
        data = os.read(sys.stdin.fileno(), _CHUNK_BYTES)
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, data)

    threading.Thread(target=read, daemon=True).start()


@contextmanager
def _raw_terminal(execution: Execution, tasks: list[asyncio.Task[None]]) -> Iterator[None]:
    """Keys go through as they are, and the size follows ours; afterwards ours is as it was."""
    loop, fd = asyncio.get_running_loop(), sys.stdin.fileno()
    before = termios.tcgetattr(fd)

    def tell_size() -> None:
        size = shutil.get_terminal_size()
        tasks.append(asyncio.ensure_future(execution.resize(size.columns, size.lines)))

    terminal.setraw(fd)
    loop.add_signal_handler(signal.SIGWINCH, tell_size)
    tell_size()
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGWINCH)
        termios.tcsetattr(fd, termios.TCSADRAIN, before)

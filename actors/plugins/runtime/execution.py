"""`exec` of the native runtime: our ends of a process's pipes or its terminal, and the word of its minder.

See `launcher.execution` for the other side. A launcher that is replaced meanwhile changes nothing here.
"""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any

from actors.plugins.errors import PluginError
from actors.plugins.runtime.client import LauncherClient
from actors.plugins.runtime.descriptors import Input, Outputs, close_all
from actors.plugins.runtime.errors import runtime_error
from actors.plugins.runtime.launcher import protocol, terminal
from actors.plugins.runtime.port import STDERR, STDOUT, ExecSpec

_VERB = "exec"


async def start_process(launcher: LauncherClient, spec: ExecSpec) -> NativeProcess:
    """Raises PluginError."""
    control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours, given = ({}, {}) if spec.tty else _open_pipes(spec.stdin)
    process = NativeProcess(control, ours, tty=spec.tty)
    handed = {"control": theirs.fileno(), **given}
    try:
        try:
            await launcher.call_with(handed, _VERB, id=spec.container_id, argv=list(spec.command))
        finally:
            theirs.close()
            close_all(given.values())
        await process.wait_started()
    except BaseException:
        await process.close()
        raise
    return process


def _open_pipes(stdin: bool) -> tuple[dict[str, int], dict[str, int]]:
    """(our ends, the process's ends) by name. An input that nobody will write to is at its end from the beginning."""
    (in_r, in_w), (out_r, out_w), (err_r, err_w) = (os.pipe2(os.O_CLOEXEC) for _ in range(3))
    ours = {"stdin": in_w, "stdout": out_r, "stderr": err_r}
    if not stdin:
        os.close(ours.pop("stdin"))
    return ours, {"stdin": in_r, "stdout": out_w, "stderr": err_w}


class NativeProcess:
    """Streams."""

    def __init__(self, control: socket.socket, ours: dict[str, int], *, tty: bool) -> None:
        loop = asyncio.get_running_loop()
        self._control, self._tty = control, tty
        self._control.setblocking(False)
        self._input = Input(ours.get("stdin", -1))
        self._outputs = Outputs({n: ours[name] for n, name in ((STDOUT, "stdout"), (STDERR, "stderr")) if name in ours})
        self._master = -1
        self._started: asyncio.Future[None] = loop.create_future()
        self._exited: asyncio.Future[int] = loop.create_future()
        loop.add_reader(control.fileno(), self._on_control)

    async def wait_started(self) -> None:
        """Raises PluginError: ExecError in the words of whoever could not start it."""
        await self._started

    def _on_control(self) -> None:
        try:
            received = protocol.receive(self._control)
        except BlockingIOError:
            return
        except (OSError, ValueError):
            received = None
        if received is None:
            self._lose()
        else:
            self._take(*received)

    def _take(self, message: dict[str, Any], fds: list[int]) -> None:
        if "terminal" in message and self._master < 0 and len(fds) == 1:
            (self._master,) = fds
            self._outputs = Outputs({STDOUT: os.dup(self._master)})
            self._input = Input(os.dup(self._master))
            return
        close_all(fds)
        if "error" in message:
            code, words = message["error"]
            self._fail(runtime_error(_VERB, "ExecError", words, retryable=False, exit_code=int(code)))
        elif "started" in message and not self._started.done():
            self._started.set_result(None)
        elif "exit" in message:
            self._finish(int(message["exit"]))

    def _finish(self, code: int) -> None:
        if not self._exited.done():
            self._exited.set_result(code)
        self._outputs.end()
        self._forget_control()

    def _lose(self) -> None:
        self._fail(runtime_error(_VERB, "RuntimeUnavailable", "the word of the process is lost"))

    def _fail(self, error: PluginError) -> None:
        for future in (self._started, self._exited):
            if not future.done():
                future.set_exception(error)
                future.exception()  # seen: not everybody waits for both
        self._outputs.end()
        self._forget_control()

    def _forget_control(self) -> None:
        if self._control.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._control.fileno())
            self._control.close()

    async def read(self) -> tuple[int, bytes] | None:
        return await self._outputs.read()

    async def write(self, data: bytes) -> None:
        await self._input.write(data)

    async def close_stdin(self) -> None:
        if not self._tty:
            self._input.close()

    async def resize(self, width: int, height: int) -> None:
        if self._master >= 0:
            terminal.resize(self._master, width, height)

    async def wait(self) -> int:
        return await asyncio.shield(self._exited)

    async def close(self) -> None:
        """The minder kills what still runs when its socket closes; a terminal's end hangs up on the rest."""
        self._fail(runtime_error(_VERB, "RuntimeUnavailable", "the process was let go"))
        self._input.close()
        self._outputs.close()
        if self._master >= 0:
            os.close(self._master)
            self._master = -1

"""The runtime's side of the launcher's socket: calls with answers, events, and a new connection when it restarts.

Every verb may be repeated, so a call whose launcher died is sent again to the next one.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Any

from actors.plugins.errors import PluginError
from actors.plugins.file_lock import is_locked
from actors.plugins.runtime.errors import runtime_error
from actors.plugins.runtime.launcher import protocol
from actors.plugins.runtime.spawn import start_launcher

_CONNECT_ATTEMPTS, _PAUSE_S = 400, 0.025
_CALL_ATTEMPTS = 5
_MESSAGES_AT_ONCE = 100
#: How long without a socket before another launcher is started: a restart of the worker keeps the socket.
_SPAWN_EVERY = 40


class LauncherGone(Exception):
    """The connection broke before the answer came."""


class LauncherClient:
    """`on_event` gets each event's state; `on_connect` is told of every connection but the first."""

    def __init__(self, root: str, on_event: Callable[[dict[str, Any]], None], on_reconnect: Callable[[], None]) -> None:
        self._root, self._on_event, self._on_reconnect = root, on_event, on_reconnect
        self._socket: socket.socket | None = None
        self._connecting = asyncio.Lock()
        self._calls: dict[int, asyncio.Future[Any]] = {}
        self._number = 0
        self._connections = 0
        self._closed = False

    async def call(self, verb: str, **arguments: Any) -> Any:
        """The verb's result. Raises the launcher's own refusal as PluginError, with `verb` for the port's verb."""
        for _ in range(_CALL_ATTEMPTS):
            try:
                return await self._call_once(verb, arguments)
            except LauncherGone:
                continue
        raise runtime_error(verb, "RuntimeUnavailable", f"the launcher of {self._root} keeps dying: see launcher.log")

    async def call_with(self, fds: dict[str, int], verb: str, **arguments: Any) -> Any:
        """One that hands descriptors over and cannot be repeated: a launcher that dies over it has perhaps done it."""
        try:
            return await self._call_once(verb, {**arguments, "fd_names": list(fds)}, list(fds.values()))
        except LauncherGone as error:
            raise runtime_error(verb, "RuntimeUnavailable", "the launcher was replaced meanwhile: try again") from error

    async def _call_once(self, verb: str, arguments: dict[str, Any], fds: list[int] | None = None) -> Any:
        sock = await self.connect()
        self._number += 1
        number = self._number
        answer = self._calls[number] = asyncio.get_running_loop().create_future()
        try:
            await self._send(sock, {"n": number, "verb": verb, **arguments}, fds)
            return await answer
        finally:
            self._calls.pop(number, None)
            if answer.done() and not answer.cancelled():
                answer.exception()  # seen: a send that failed has disconnected, and told every call so

    async def _send(self, sock: socket.socket, message: dict[str, Any], fds: list[int] | None = None) -> None:
        while True:
            try:
                protocol.send(sock, message, fds)
            except BlockingIOError:
                await asyncio.sleep(0.001)
            except OSError as error:
                self._disconnect(sock)
                raise LauncherGone from error
            else:
                return

    async def connect(self) -> socket.socket:
        """The connection, made when there is none; a launcher is started when nobody answers."""
        async with self._connecting:
            if self._closed:
                raise runtime_error("connect", "RuntimeUnavailable", "this runtime is closed", retryable=False)
            if self._socket is None:
                self._socket = await self._dial()
                asyncio.get_running_loop().add_reader(self._socket.fileno(), self._on_readable, self._socket)
                self._connections += 1
                if self._connections > 1:
                    self._on_reconnect()
            return self._socket

    async def wait_ended(self) -> None:
        """The launcher says yes to `shutdown` first and unmounts afterwards: its lock goes with its last process."""
        for _ in range(_CONNECT_ATTEMPTS):
            if not is_locked(f"{self._root}/launcher.lock"):
                return
            await asyncio.sleep(_PAUSE_S)
        raise runtime_error(
            "shutdown", "RuntimeUnavailable", f"the launcher does not end: see {self._root}/launcher.log"
        )

    async def _dial(self) -> socket.socket:
        for attempt in range(_CONNECT_ATTEMPTS):
            try:
                return _connect(self._root)
            except (FileNotFoundError, ConnectionRefusedError, BlockingIOError):
                if attempt % _SPAWN_EVERY == 0:
                    await asyncio.to_thread(start_launcher, self._root)
                await asyncio.sleep(_PAUSE_S)
        raise runtime_error(
            "connect", "RuntimeUnavailable", f"the launcher does not start: see {self._root}/launcher.log"
        )

    def _on_readable(self, sock: socket.socket) -> None:
        """All that is there: a busy loop comes here seldom."""
        for _ in range(_MESSAGES_AT_ONCE):
            try:
                received = protocol.receive(sock)
            except BlockingIOError:
                return
            except OSError:
                received = None
            if received is None:
                self._disconnect(sock)
                return
            self._take(received[0])

    def _take(self, message: dict[str, Any]) -> None:
        if "event" in message:
            self._on_event(message["event"])
            return
        answer = self._calls.get(message["n"])
        if answer is None or answer.done():
            return
        error = message.get("error")
        if error is None:
            answer.set_result(message["result"])
        else:
            answer.set_exception(_refusal(error))

    def _disconnect(self, sock: socket.socket) -> None:
        if self._socket is not sock:
            return
        self._socket = None
        asyncio.get_running_loop().remove_reader(sock.fileno())
        sock.close()
        for answer in self._calls.values():
            if not answer.done():
                answer.set_exception(LauncherGone())

    async def close(self) -> None:
        self._closed = True
        if self._socket is not None:
            self._disconnect(self._socket)


def _connect(root: str) -> socket.socket:
    """A socket's path may have 108 bytes: the folder is named by descriptor."""
    folder = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        sock.setblocking(False)
        sock.connect(f"/proc/self/fd/{folder}/launcher.sock")
    except BaseException:
        sock.close()
        raise
    finally:
        os.close(folder)
    return sock


def _refusal(error: dict[str, Any]) -> PluginError:
    return runtime_error("launch", error["reason"], error["message"], retryable=error["retryable"])

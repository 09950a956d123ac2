"""Connections made in a sandbox's network by the native runtime.

A socket belongs to the network namespace in which it was made, wherever it is used from. It is made by a thread that
enters the namespace and ends: nobody has to find the way back.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading

from actors.plugins.runtime.errors import runtime_error
from actors.plugins.runtime.launcher import syscalls
from actors.plugins.runtime.port import CHUNK_BYTES_MAX

_LOOPBACKS = ("127.0.0.1", "::1")
_CONNECT_SECONDS = 10.0


async def connect(netns_path: str, port: int, address: str) -> NativeConnection:
    """`netns_path` "" is the host's own. Raises PluginError."""
    refusals = []
    for host in (address,) if address else _LOOPBACKS:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = _open_socket(netns_path, family)
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await asyncio.get_running_loop().sock_connect(sock, (host, port))
        except (OSError, TimeoutError) as error:
            sock.close()
            why = (
                os.strerror(error.errno).lower() if isinstance(error, OSError) and error.errno else "no answer in time"
            )
            refusals.append(f"dial tcp {_format(host, port)}: connect: {why}")
        except BaseException:
            sock.close()
            raise
        else:
            return NativeConnection(sock)
    raise runtime_error("port_forward", "ConnectionRefused", "; ".join(refusals), retryable=False)


def _format(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _open_socket(netns_path: str, family: int) -> socket.socket:
    """Raises OSError."""
    if not netns_path:
        return _new(family)
    made: list[socket.socket | OSError] = []

    def make() -> None:
        try:
            fd = os.open(netns_path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                syscalls.setns(fd, syscalls.CLONE_NEWNET)
            finally:
                os.close(fd)
            made.append(_new(family))
        except OSError as error:
            made.append(error)

    thread = threading.Thread(target=make, name="netns-socket")
    thread.start()
    thread.join()
    (found,) = made
    if isinstance(found, OSError):
        raise found
    return found


def _new(family: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    sock.setblocking(False)
    return sock


class NativeConnection:
    """Connection."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def read(self) -> bytes:
        try:
            return await asyncio.get_running_loop().sock_recv(self._sock, CHUNK_BYTES_MAX)
        except ConnectionError:
            return b""

    async def write(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._sock, data)

    async def close_write(self) -> None:
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            return  # the other side was faster

    async def close(self) -> None:
        self._sock.close()

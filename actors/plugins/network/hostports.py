"""Host ports are held by a bound socket while a pod has them: no process of the host can take one unnoticed.

The kernel is asked by bind(2), not by reading lists: that is the only answer without a race. Who holds a port is looked
up in /proc afterwards, for the message. The sockets end with this process; `hold` takes them again after a restart.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterable
from pathlib import Path

from actors.plugins.network.leases import port_in_use, setup_error
from actors.plugins.network.port import PortMapping

_LISTEN = "0A"


class HeldPorts:
    """By sandbox id. One thread."""

    def __init__(self) -> None:
        self._sockets: dict[str, list[socket.socket]] = {}

    def hold(self, sandbox_id: str, mappings: Iterable[PortMapping]) -> None:
        """All or none. PortInUse names the process of the host that has it."""
        opened: list[socket.socket] = []
        try:
            for mapping in mappings:
                opened.append(_bind(mapping))
        except BaseException:
            _close(opened)
            raise
        self.release(sandbox_id)
        self._sockets[sandbox_id] = opened

    def holds(self, sandbox_id: str) -> bool:
        return sandbox_id in self._sockets

    def release(self, sandbox_id: str) -> None:
        _close(self._sockets.pop(sandbox_id, []))

    def close(self) -> None:
        for sandbox_id in list(self._sockets):
            self.release(sandbox_id)


def read_holder(protocol: str, port: int) -> str:
    """`process nginx (pid 12)`, as well as /proc tells."""
    inodes = _listening_inodes(protocol.lower(), port)
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        if inodes & _socket_inodes(pid):
            with contextlib.suppress(OSError):
                return f"process {Path(f'/proc/{pid}/comm').read_text().strip()} (pid {pid})"
    return "another process of the host"


def _bind(mapping: PortMapping) -> socket.socket:
    kind = socket.SOCK_STREAM if mapping.protocol == "TCP" else socket.SOCK_DGRAM
    held = socket.socket(socket.AF_INET, kind)
    try:
        # Past connections in TIME_WAIT do not hold the port; but nobody may share it with us either.
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(kind == socket.SOCK_STREAM))
        held.bind((mapping.host_ip if mapping.host_ip not in ("", "::") else "0.0.0.0", mapping.host_port))
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    except OSError as error:
        held.close()
        if error.errno == errno.EADDRINUSE:
            raise port_in_use(mapping, read_holder(mapping.protocol, mapping.host_port)) from error
        where = f"host port {mapping.host_port}/{mapping.protocol} on {mapping.host_ip or 'all addresses'}"
        raise setup_error("add", f"{where} cannot be held: {error.strerror}") from error
    return held


def _close(sockets: Iterable[socket.socket]) -> None:
    for held in sockets:
        held.close()


def _listening_inodes(protocol: str, port: int) -> set[str]:
    found = set()
    for table in (protocol, f"{protocol}6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/thread-self/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                listens = protocol == "udp" or fields[3] == _LISTEN
                if listens and int(fields[1].rpartition(":")[2], 16) == port:
                    found.add(fields[9])
    return found


def _socket_inodes(pid: int) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                target = os.readlink(entry.path)
                if target.startswith("socket:["):
                    found.add(target[8:-1])
    return found

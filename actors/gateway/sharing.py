"""Several gateways at one port of one machine: the kernel deals out connections (SO_REUSEPORT), files are made by one
at a time. A port that belongs to another cluster is not shared: whoever answers there must show our CA's certificate.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

_ANSWER_SECONDS = 3.0


async def is_free_or_ours(host: str, port: int, ca: Path) -> bool:
    """Whether the port may be shared. Raises OSError where it cannot be listened at for another reason."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            return True
    context = ssl.create_default_context(cafile=str(ca))
    context.check_hostname = False
    address = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            _, writer = await asyncio.open_connection(address, port, ssl=context)
    except (OSError, TimeoutError):
        return False
    writer.transport.abort()
    return True


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Alone among the gateways of a home. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)

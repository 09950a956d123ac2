"""Messages between the runtime and the launcher, and between supervisor and worker: JSON in SEQPACKET datagrams.

A message too long for a datagram travels in a memfd beside an empty one, so its length has no limit.
"""

from __future__ import annotations

import array
import json
import os
import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_INLINE_BYTES_MAX = 64 << 10
_FDS_MAX = 8


def send(sock: socket.socket, message: dict[str, Any], fds: list[int] | None = None) -> None:
    """Raises BlockingIOError when the peer does not read."""
    text = json.dumps(message).encode()
    if len(text) <= _INLINE_BYTES_MAX:
        socket.send_fds(sock, [text], fds or [])
        return
    memfd = os.memfd_create("message", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(memfd), "wb") as file:
            file.write(text)
        socket.send_fds(sock, [b"\0"], [memfd, *(fds or [])])
    finally:
        os.close(memfd)


def receive(sock: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """None at the end. Descriptors that came along are close-on-exec and the caller's."""
    fds = array.array("i")
    size = socket.CMSG_LEN(_FDS_MAX * fds.itemsize)
    text, ancillary, _, _ = sock.recvmsg(_INLINE_BYTES_MAX + 1, size, socket.MSG_CMSG_CLOEXEC)
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    if not text:
        return None
    received = list(fds)
    if text == b"\0":
        with os.fdopen(received.pop(0), "rb") as file:
            file.seek(0)
            text = file.read()
    message: dict[str, Any] = json.loads(text)
    return message, received

"""Streams between gateway and node: what is asked for, the ticket that opens one, and the frames that travel on it.

A frame is a channel (one byte), a length (four, big-endian) and so many bytes. The channels are those of Kubernetes'
remotecommand protocol v5 (KEP-4006), so that most frames pass the gateway as they are. Pure.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

STDIN, STDOUT, STDERR, ERROR, RESIZE = 0, 1, 2, 3, 4
#: A sign of life; it carries nothing.
PING = 254
#: Nothing more will come on the channel that is its payload.
CLOSE = 255

#: The reason of the cause of a Status that carries an exit code (k8s.io/apimachinery, remotecommand).
EXIT_CODE = "ExitCode"

HEAD_BYTES = 5
PAYLOAD_BYTES_MAX = 64 << 10
_HEAD = struct.Struct(">BI")


class StreamRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`exec` and `attach` are of a container; `connect` is a TCP connection to `port`, made within the pod.

    `address` of a connection: "" is the pod's own loopback. Of stdout and stderr only what is asked for is sent.
    """

    verb: Literal["exec", "attach", "connect"]
    namespace: str
    pod: str
    pod_uid: str
    container: str = ""
    command: tuple[str, ...] = ()
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    tty: bool = False
    port: int = 0
    address: str = ""


class StreamTicket(msgspec.Struct, frozen=True, kw_only=True):
    """Good for one connection, soon. `certificate` (PEM) is the only one that the node will show there."""

    address: str
    port: int
    token: str
    certificate: str


class FrameError(Exception):
    """The other side does not speak this protocol."""


def encode_frame(channel: int, payload: bytes = b"") -> bytes:
    return _HEAD.pack(channel, len(payload)) + payload


def parse_head(head: bytes) -> tuple[int, int]:
    """(channel, length of the payload) of HEAD_BYTES. Raises FrameError."""
    channel, length = _HEAD.unpack(head)
    if length > PAYLOAD_BYTES_MAX:
        raise FrameError(f"a frame of {length} bytes: at most {PAYLOAD_BYTES_MAX} are taken")
    return channel, length


def split_payload(payload: bytes) -> Iterator[bytes]:
    """Into what fits in a frame; an empty one stays one."""
    for at in range(0, len(payload) or 1, PAYLOAD_BYTES_MAX):
        yield payload[at : at + PAYLOAD_BYTES_MAX]


def success_status() -> dict[str, Any]:
    """How a command that ended well is told on the channel ERROR."""
    return {"metadata": {}, "status": "Success"}


def exit_status(code: int) -> dict[str, Any]:
    """How the exit code of a command is told, so that clients exit with it (kubelet, cri/streaming/remotecommand)."""
    if code == 0:
        return success_status()
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit code {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": EXIT_CODE, "message": str(code)}]},
    }


def parse_size(payload: bytes) -> tuple[int, int] | None:
    """(width, height) of a RESIZE; None of what is none."""
    try:
        size = msgspec.json.decode(payload, type=_Size)
    except msgspec.DecodeError:
        return None
    return (size.width, size.height) if 0 < size.width < 1 << 16 and 0 < size.height < 1 << 16 else None


class _Size(msgspec.Struct, frozen=True, rename={"width": "Width", "height": "Height"}):
    width: int
    height: int

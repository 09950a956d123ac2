"""Reading a container's log across processes: the gateway asks, the node's nodelet answers in chunks."""

from __future__ import annotations

import msgspec

from actors.api.clock import Millis


class LogRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of one container's log. `cursor` "" starts at the beginning (or at `tail_lines` from the end).

    `previous` asks for the attempt before the latest. With `wait_ms` > 0 an answer at the end of a log that may
    still grow waits that long for more. `pod_uid` "" is the newest pod of that name.
    """

    namespace: str
    pod: str
    container: str
    pod_uid: str = ""
    previous: bool = False
    cursor: str = ""
    tail_lines: int = -1
    since_ms: Millis = 0
    bytes_max: int = 256 * 1024
    wait_ms: Millis = 0


class LogChunk(msgspec.Struct, frozen=True, kw_only=True):
    """Whole lines in CRI format (`<RFC3339Nano> stdout|stderr F|P text`). `ended`: nothing will follow.

    Raised instead: NotFound, when the node has no log of such a container.
    """

    lines: bytes
    cursor: str
    ended: bool = False

"""From a container's pipe to its log, each line exactly once, whichever process is killed at whichever instruction.

Output is looked at with tee(2), which takes nothing out of the pipe. What can be written moves into a pipe of the
launcher's own (splice(2), one step of the kernel's), is written, and only then read off. The journal says, before
the move, whose it is and where in the log it goes. Supervisor and worker both hold that pipe and the journal: the
next worker finds the pipe either empty, or full and then cuts the log back to the journal's offset and writes it
again. Unfinished lines stay in the container's pipe, or go out as a part (tag P) after a second.
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
import termios
import time

from actors.plugins.runtime.launcher import syscalls as sys
from actors.plugins.runtime.launcher.log_format import format_lines, format_stamp, measure_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.plugins.runtime.launcher.log_file import LogFile

_PIPE_BYTES = 64 << 10
_JOURNAL_BYTES = 512
MORE, WAITING, IDLE, ENDED = "more", "waiting", "idle", "ended"


class Spool:
    """Made by the first supervisor; both processes keep it over every fork."""

    def __init__(self) -> None:
        self.out, self._in = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._glance_out, self._glance_in = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._journal = os.memfd_create("journal", os.MFD_CLOEXEC)

    def pump(
        self,
        pipe: int,
        container_id: str,
        stream: str,
        log: LogFile,
        tail_tag: str = "",
        heard: Callable[[bytes], None] | None = None,
    ) -> str:
        """Move one pipeful. `tail_tag` P or F also moves an unfinished line. `heard` is told what was moved.

        MORE: call again. WAITING: an unfinished line stays. IDLE: nothing there. ENDED: no writer is left.
        """
        output = self._glance(pipe)
        if output is None:
            return IDLE
        if not output:
            return ENDED
        length = len(output) if tail_tag else measure_whole(output)
        if not length:
            return WAITING
        text = format_lines(output[:length], stream, format_stamp(time.time_ns()), tail_tag or "P")
        log.make_room(len(text))
        self._note(container_id, stream, log.size, tail_tag or "P")
        moved = 0
        while moved < length:
            moved += os.splice(pipe, self._in, length - moved)
        log.append(text)
        self._discard(length)
        if heard is not None:
            heard(output[:length])
        return MORE

    def recover(self, open_log: Callable[[str], LogFile | None]) -> None:
        """Finish what a killed worker had begun."""
        _drain(self._glance_out)
        output = self._glance(self.out)
        if not output:
            return
        entry = json.loads(os.pread(self._journal, _JOURNAL_BYTES, 0))
        log = open_log(entry["id"])
        if log is not None:
            log.truncate(entry["size"])
            log.append(format_lines(output, entry["stream"], format_stamp(time.time_ns()), entry["tail"]))
            log.close()
        self._discard(len(output))

    def _glance(self, pipe: int) -> bytes | None:
        """What is in a pipe, left there. None: nothing yet; b"": nothing ever again."""
        try:
            length = sys.tee(pipe, self._glance_in, _PIPE_BYTES)
        except BlockingIOError:
            return None
        return os.read(self._glance_out, length) if length else b""

    def _note(self, container_id: str, stream: str, size: int, tail: str) -> None:
        entry = json.dumps({"id": container_id, "stream": stream, "size": size, "tail": tail})
        os.pwrite(self._journal, entry.encode().ljust(_JOURNAL_BYTES), 0)

    def _discard(self, length: int) -> None:
        while length > 0:
            length -= len(os.read(self.out, length))


def count_readable(pipe: int) -> int:
    return int(struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))[0])


def _drain(pipe: int) -> None:
    waiting = count_readable(pipe)
    while waiting > 0:
        waiting -= len(os.read(pipe, waiting))

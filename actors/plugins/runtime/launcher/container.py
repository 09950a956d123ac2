"""One container as the worker sees it: its state on disk, its descriptors, who waits for it."""

from __future__ import annotations

import os

from actors.plugins.runtime.launcher.log_file import LogFile
from actors.plugins.runtime.launcher.spool import MORE, Spool

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.plugins.runtime.launcher.audience import Audience
    from actors.plugins.runtime.launcher.plan import State
    from actors.plugins.runtime.launcher.start import Prepared

CREATED, RUNNING, EXITED = "CREATED", "RUNNING", "EXITED"
#: A pipe that never falls silent lets others have their turn after so many pipefuls.
_ROUNDS_MAX = 8
_MESSAGE_BYTES_MAX = 4096


class Stream:
    """One output pipe on its way to the log that both share."""

    __slots__ = ("fd", "heard", "name", "timer_set")

    def __init__(self, fd: int, name: str) -> None:
        self.fd, self.name, self.timer_set = fd, name, False
        #: Called with what goes to the log, when somebody is attached.
        self.heard: Callable[[bytes], None] | None = None


class Container:
    """`waiters` are called with it once it has exited, `starters` once its process runs or never will."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.prepared: Prepared | None = None
        self.pidfd = self.status = -1
        #: Where its input goes; its terminal's master; the writing end of the pipe from there to the log.
        self.input = self.terminal = self.relay = -1
        self.audience: Audience | None = None
        self.streams: list[Stream] = []
        self.log = LogFile("", 0, 0)
        self.waiters: list[Callable[[Container], None]] = []
        self.starters: list[Callable[[Container], None]] = []
        #: What the child said instead of becoming the container's process: (exit code, message).
        self.start_error: tuple[int, str] | None = None

    @property
    def id(self) -> str:
        return self.state["id"]

    @property
    def running(self) -> bool:
        return self.state["state"] == RUNNING

    def open_log(self) -> None:
        """A log that cannot be written must not stop a container that runs already."""
        log = self.state["log"]
        try:
            self.log = LogFile(log["path"], log["size_bytes_max"], log["files_max"])
        except OSError:
            self.log = LogFile("", 0, 0)

    def pump(self, spool: Spool, stream: Stream, tail_tag: str = "") -> str:
        """Move output until the pipe is empty or the others must have their turn."""
        outcome = MORE
        for _ in range(_ROUNDS_MAX):
            outcome = spool.pump(stream.fd, self.id, stream.name, self.log, tail_tag, stream.heard)
            if outcome != MORE:
                break
        return outcome

    def drain(self, spool: Spool) -> None:
        """The process is gone: whatever is left is the end, with or without a newline."""
        for stream in self.streams:
            while spool.pump(stream.fd, self.id, stream.name, self.log, "", stream.heard) == MORE:
                pass
            while spool.pump(stream.fd, self.id, stream.name, self.log, "F", stream.heard) == MORE:
                pass

    def read_message(self) -> str:
        """The end of what it wrote to its termination message file."""
        try:
            fd = os.open(self.state["termination_file"], os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return ""
        try:
            size = os.fstat(fd).st_size
            return os.pread(fd, _MESSAGE_BYTES_MAX, max(0, size - _MESSAGE_BYTES_MAX)).decode("utf-8", "replace")
        finally:
            os.close(fd)

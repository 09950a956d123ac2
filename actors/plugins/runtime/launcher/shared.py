"""What supervisor and worker both hold, so that either can go on alone: it is inherited over fork and kept equal by
messages. A new worker starts from its parent's copy.
"""

from __future__ import annotations

import os

from actors.plugins.runtime.launcher.cgroups import Cgroups
from actors.plugins.runtime.launcher.spool import Spool
from actors.plugins.runtime.launcher.state import StateFiles

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

    from actors.plugins.runtime.layout import Layout


class Hold:
    """A running container: its process and the descriptors that must outlive the worker. -1: there is none.

    `stdin` is where its input goes; of one with a terminal that is the master, and `stdout` the pipe from there to the
    log, whose writing end anybody who has this one can open.
    """

    NAMES = ("pidfd", "stdin", "stdout", "stderr", "status")
    __slots__ = ("pid", *NAMES)

    def __init__(self, pid: int, pidfd: int, stdout: int, stderr: int, status: int, stdin: int = -1) -> None:
        self.pid, self.pidfd, self.stdout, self.stderr, self.status = pid, pidfd, stdout, stderr, status
        self.stdin = stdin

    def fds(self) -> dict[str, int]:
        """Those there are, by name."""
        found = {name: getattr(self, name) for name in self.NAMES}
        return {name: fd for name, fd in found.items() if fd >= 0}

    def close(self) -> None:
        for name, fd in self.fds().items():
            os.close(fd)
            setattr(self, name, -1)


class Shared:
    def __init__(self, layout: Layout, listener: socket.socket, cgroups: Cgroups, kept_fds: list[int]) -> None:
        self.layout, self.listener, self.cgroups = layout, listener, cgroups
        #: The lock and the favordynmods mount: held open, never used again.
        self.kept_fds = kept_fds
        self.files = StateFiles(layout)
        self.spool = Spool()
        self.holds: dict[str, Hold] = {}
        #: Exit codes of containers that the supervisor reaped: (code, when), until a worker has written them down.
        self.exits: dict[str, tuple[int, int]] = {}

    def drop(self, container_id: str) -> None:
        hold = self.holds.pop(container_id, None)
        if hold is not None:
            hold.close()
        self.exits.pop(container_id, None)

"""Processes by pid and start time, so that a pid used again is never taken for the old process. Linux.

A `Process` may be a child or one that an earlier keeper started: both are watched through a pidfd.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec


class Process(msgspec.Struct, frozen=True):
    """`started` is the kernel's start time of the process in clock ticks since boot."""

    pid: int
    started: int

    @property
    def is_alive(self) -> bool:
        return start_ticks(self.pid) == self.started

    def signal(self, number: int) -> None:
        """Nothing happens when it is gone already."""
        if self.is_alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def start_ticks(pid: int) -> int | None:
    """None when there is no such process, or only a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def spawn(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Process:
    """Start a process in a session of its own, its output appended to `log`; it outlives its parent."""
    with open(log, "ab") as output:
        child = subprocess.Popen(
            command, env=dict(environment), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True, cwd="/",
        )  # fmt: skip
    child.returncode = 0  # reaped by `reap`, not by Popen
    return Process(child.pid, start_ticks(child.pid) or 0)


def reap() -> None:
    """Collect the children that have ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def wait_exit(processes: Iterable[Process], timeout_seconds: float) -> bool:
    """Until one of `processes` has ended (True), at most so long."""
    descriptors = []
    try:
        poll = select.poll()
        for process in processes:
            try:
                descriptor = os.pidfd_open(process.pid)
            except ProcessLookupError:
                return True
            descriptors.append(descriptor)
            if not process.is_alive:
                return True
            poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(timeout_seconds * 1000))
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def stop_all(processes: Iterable[Process], grace_seconds: float) -> None:
    """SIGTERM to all, SIGKILL to those that are left after the grace period; returns when none is alive."""
    left = [p for p in processes if p.is_alive]
    if grace_seconds:
        for process in left:
            process.signal(signal.SIGTERM)
    deadline = time.monotonic() + grace_seconds
    while left and (remaining := deadline - time.monotonic()) > 0:
        wait_exit(left[:1], remaining)
        reap()
        left = [p for p in left if p.is_alive]
    for process in left:
        process.signal(signal.SIGKILL)
    for process in left:
        wait_exit([process], 5)
        reap()


def find_processes(mark: str) -> list[Process]:
    """Every process with `mark` (as `NAME=value`) in its environment, but this one."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if mark.encode() in (entry / "environ").read_bytes().split(b"\0"):
                ticks = start_ticks(int(entry.name))
                if ticks is not None:
                    found.append(Process(int(entry.name), ticks))
    return found

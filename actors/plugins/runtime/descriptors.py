"""Pipes and terminals read and written from an event loop without a buffer of ours: the kernel's own hold back whoever
is too fast, on either side.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable

from actors.plugins.runtime.port import CHUNK_BYTES_MAX


class Outputs:
    """The reading ends by channel. `end` says that the process is gone: what is there is still read, then it is over,
    even when somebody else holds the other end.
    """

    def __init__(self, fds: dict[int, int]) -> None:
        self._fds = fds
        self._ended = False
        self._news: asyncio.Future[None] | None = None
        for fd in fds.values():
            os.set_blocking(fd, False)

    async def read(self) -> tuple[int, bytes] | None:
        """One reader at a time. The channel that was read goes to the end of the queue."""
        while self._fds:
            ended = self._ended
            for channel in list(self._fds):
                data = _read_now(self._fds[channel])
                if data is None:
                    continue
                if data:
                    self._fds[channel] = self._fds.pop(channel)
                    return channel, data
                os.close(self._fds.pop(channel))
            if ended:
                break
            if self._fds:
                await self._wait(list(self._fds.values()))
        return None

    async def _wait(self, fds: list[int]) -> None:
        loop = asyncio.get_running_loop()
        self._news = loop.create_future()
        for fd in fds:
            loop.add_reader(fd, _settle, self._news)
        try:
            if not self._ended:
                await self._news
        finally:
            self._news = None
            for fd in fds:
                loop.remove_reader(fd)

    def end(self) -> None:
        self._ended = True
        _settle(self._news)

    def close(self) -> None:
        """Not while it is read."""
        self.end()
        for fd in self._fds.values():
            os.close(fd)
        self._fds = {}


def _read_now(fd: int) -> bytes | None:
    """None: nothing yet. b"": never again; a terminal whose other side is gone says so with EIO."""
    try:
        return os.read(fd, CHUNK_BYTES_MAX)
    except BlockingIOError:
        return None
    except OSError:
        return b""


class Input:
    """A writing end; -1 is one that is closed. A terminal's is not closed by `close_stdin`: it has one end only."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        if fd >= 0:
            os.set_blocking(fd, False)

    async def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view and self._fd >= 0:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:
                await writable(self._fd)
            except OSError:
                self.close()

    def close(self) -> None:
        if self._fd >= 0:
            asyncio.get_running_loop().remove_writer(self._fd)
            os.close(self._fd)
            self._fd = -1


async def readable(fd: int) -> None:
    """Or at its end."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_reader(fd, _settle, ready)
    try:
        await ready
    finally:
        loop.remove_reader(fd)


async def writable(fd: int) -> None:
    """Or broken, which the next write tells."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    loop.add_writer(fd, _settle, ready)
    try:
        await ready
    finally:
        loop.remove_writer(fd)


def _settle(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)


def close_all(fds: Iterable[int]) -> None:
    for fd in fds:
        os.close(fd)

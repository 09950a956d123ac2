"""Who is attached to a container: what it says goes to all of them, what they say goes to its input.

A message on an attached socket is a channel's number and what is said on it; the numbers are Kubernetes' (0 stdin, 1
stdout, 2 stderr, 3 the end, 4 the terminal's size, 255 the input's end). A viewer never holds the container up: what
one has not read beyond a bound is left out for it, and it is told so.
"""

from __future__ import annotations

import json
import os
import socket
from collections import deque

from actors.plugins.runtime.launcher import terminal
from actors.plugins.runtime.launcher.loop import IN, OUT, Loop, has_gone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from actors.plugins.runtime.launcher.container import Container

STDIN, STDOUT, STDERR, END, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
_UNREAD_BYTES_MAX = 1 << 20
_MESSAGE_BYTES_MAX = 64 << 10
_SKIPPED = b"\r\n[some output was left out: it came faster than it was read]\r\n"


class Viewer:
    """One client. `speaks`: what it says is the container's input."""

    __slots__ = ("ending", "gone", "pending_input", "skipping", "sock", "speaks", "unread", "unread_bytes")

    def __init__(self, sock: socket.socket, speaks: bool) -> None:
        self.sock, self.speaks = sock, speaks
        self.unread: deque[bytes] = deque()
        self.unread_bytes = 0
        self.skipping = self.ending = self.gone = False
        #: Taken from the client, and not yet by the container: until then nothing more is taken.
        self.pending_input = b""


class Audience:
    """Of one container. `close_input` is called when its input has come to its end."""

    def __init__(self, loop: Loop, container: Container, close_input: Callable[[Container], None]) -> None:
        self._loop, self._container, self._close_input = loop, container, close_input
        self._viewers: dict[int, Viewer] = {}
        #: Whose input the container has no room for, as long as its input is watched for room.
        self._waiting: list[Viewer] = []

    def __bool__(self) -> bool:
        return bool(self._viewers)

    def join(self, fd: int, speaks: bool) -> None:
        viewer = Viewer(socket.socket(fileno=os.dup(fd)), speaks)
        viewer.sock.setblocking(False)
        self._viewers[viewer.sock.fileno()] = viewer
        self._loop.watch(viewer.sock.fileno(), lambda events: self._on_viewer(viewer, events))

    def tell(self, channel: int, data: bytes) -> None:
        for viewer in list(self._viewers.values()):
            for at in range(0, len(data), _MESSAGE_BYTES_MAX):
                self._tell_one(viewer, bytes([channel]) + data[at : at + _MESSAGE_BYTES_MAX])

    def end(self, code: int) -> None:
        """The container has exited."""
        for viewer in list(self._viewers.values()):
            viewer.ending = True
            self._tell_one(viewer, bytes([END]) + json.dumps({"exit": code}).encode())

    def hang_up(self) -> None:
        """The worker ends, the container goes on: whoever is attached may join the next one."""
        for viewer in self._viewers.values():
            viewer.sock.close()
        self._viewers = {}

    def _tell_one(self, viewer: Viewer, message: bytes) -> None:
        if viewer.unread_bytes > _UNREAD_BYTES_MAX and message[0] != END:
            viewer.skipping = True
            return
        if viewer.skipping:
            viewer.skipping = False
            self._queue(viewer, bytes([STDOUT]) + _SKIPPED)
        self._queue(viewer, message)
        self._flush(viewer)

    @staticmethod
    def _queue(viewer: Viewer, message: bytes) -> None:
        viewer.unread.append(message)
        viewer.unread_bytes += len(message)

    def _flush(self, viewer: Viewer) -> None:
        try:
            while viewer.unread:
                viewer.sock.send(viewer.unread[0])
                viewer.unread_bytes -= len(viewer.unread.popleft())
        except BlockingIOError:
            self._watch_for(viewer)
            return
        except OSError:
            self._leave(viewer)
            return
        if viewer.ending:
            self._leave(viewer)
        else:
            self._watch_for(viewer)

    def _watch_for(self, viewer: Viewer) -> None:
        if viewer.gone:
            return
        listening = 0 if viewer.pending_input else IN
        self._loop.change(viewer.sock.fileno(), listening | (OUT if viewer.unread else 0))

    def _on_viewer(self, viewer: Viewer, events: int) -> None:
        if events & OUT:
            self._flush(viewer)
        if viewer.sock.fileno() < 0:
            return
        if events & IN:
            self._hear(viewer)
        elif has_gone(events) and viewer.pending_input:
            viewer.gone = True  # what it has said before is still heard
            self._loop.forget(viewer.sock.fileno())
        elif has_gone(events):
            self._leave(viewer)

    def _hear(self, viewer: Viewer) -> None:
        try:
            message = viewer.sock.recv(_MESSAGE_BYTES_MAX + 1)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if not message:
            self._leave(viewer)
        elif message[0] == RESIZE and self._container.state.get("tty"):
            self._resize(message[1:])
        elif message[0] == STDIN and viewer.speaks:
            viewer.pending_input = message[1:]
            self._pass_input(viewer)
        elif message[0] == CLOSE and viewer.speaks:
            self._stop_speaking(viewer)

    def _resize(self, text: bytes) -> None:
        width, height = json.loads(text)
        if self._container.input >= 0 and 0 < width < 1 << 16 and 0 < height < 1 << 16:
            terminal.resize(self._container.input, width, height)

    # Input

    def _pass_input(self, viewer: Viewer) -> None:
        """As much as the container takes now; the rest when it has room."""
        target = self._container.input
        while viewer.pending_input and target >= 0:
            try:
                viewer.pending_input = viewer.pending_input[os.write(target, viewer.pending_input) :]
            except BlockingIOError:
                self._wait_for_room(viewer)
                return
            except OSError:
                break  # it no longer listens
        viewer.pending_input = b""
        if viewer.sock.fileno() < 0:
            return
        if viewer.gone:
            self._hear(viewer)
        else:
            self._watch_for(viewer)

    def _wait_for_room(self, viewer: Viewer) -> None:
        self._waiting.append(viewer)
        if viewer.sock.fileno() >= 0:
            self._watch_for(viewer)
        if len(self._waiting) == 1:
            self._loop.watch(self._container.input, lambda _: self._on_room(), OUT)

    def _on_room(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._loop.forget(self._container.input)
        for viewer in waiting:
            self._pass_input(viewer)

    def _stop_speaking(self, viewer: Viewer) -> None:
        """Where the pod says stdinOnce, the first client's end is the input's."""
        viewer.speaks = False
        if self._container.state.get("stdin_once") and not self._container.state.get("tty"):
            self._close_input(self._container)

    def _leave(self, viewer: Viewer) -> None:
        if self._viewers.pop(viewer.sock.fileno(), None) is None:
            return
        self._loop.forget(viewer.sock.fileno())
        viewer.sock.close()
        viewer.pending_input = b""
        if viewer.speaks:
            self._stop_speaking(viewer)

"""The worker: answers the runtime on a socket, launches containers, writes logs. One thread, one epoll.

Requests are {"n", "verb", ...}, answers {"n", "result"} or {"n", "error": {reason, message, retryable}}; every
connection also gets {"event": state} at each start and exit. What a slow client has not read yet is kept for it, up to
a bound; one that does not read at all is hung up on.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
import traceback
from collections import deque

from actors.plugins.runtime.launcher import namespaces, protocol
from actors.plugins.runtime.launcher.attendant import Attendant
from actors.plugins.runtime.launcher.containers import Containers
from actors.plugins.runtime.launcher.loop import IN, OUT, Loop
from actors.plugins.runtime.launcher.start import Refused
from actors.plugins.runtime.launcher.state import make_directory, remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from actors.plugins.runtime.launcher.container import Container
    from actors.plugins.runtime.launcher.plan import State
    from actors.plugins.runtime.launcher.shared import Shared

VERSION = 1
#: Without a running container and without a client the launcher goes away by itself.
_IDLE_S = 30.0
_ROOT = 0
_UNREAD_MAX = 10_000


class Worker:
    """`run` returns True when the supervisor has died and this process must take its place."""

    def __init__(self, shared: Shared, supervisor: socket.socket, supervisor_pid: int) -> None:
        self._shared, self._supervisor, self._supervisor_pid = shared, supervisor, supervisor_pid
        self._loop = Loop()
        self._clients: dict[int, socket.socket] = {}
        self._unread: dict[int, deque[dict[str, Any]]] = {}
        attendant = Attendant(shared, self._loop, supervisor, self._publish)
        self._containers = Containers(shared, self._loop, attendant)
        self._orphaned = self._ended = False
        self._idle_generation = 0

    def run(self) -> bool:
        self._containers.adopt_all()
        self._supervisor.setblocking(False)
        self._shared.listener.setblocking(False)
        self._loop.watch(self._supervisor.fileno(), lambda _: self._on_supervisor())
        self._loop.watch(self._shared.listener.fileno(), lambda _: self._on_connect())
        self._arm_idle_timer()
        while not (self._orphaned or self._ended):
            self._loop.run_once()
        for client in list(self._clients.values()):
            self._hang_up(client)
        self._containers.let_go()
        self._loop.close()
        return self._orphaned

    # Descriptors

    def _on_supervisor(self) -> None:
        try:
            received = protocol.receive(self._supervisor)
        except BlockingIOError:
            return
        except OSError:
            received = None
        if received is None:
            self._orphaned = True
            return
        message, _ = received
        self._containers.exited_by_supervisor(message["exit"], message["code"], message["at_ms"])

    def _on_connect(self) -> None:
        try:
            client, _ = self._shared.listener.accept()
        except OSError:
            return
        credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        if int.from_bytes(credentials[4:8], sys.byteorder) not in (_ROOT, os.geteuid()):
            client.close()
            return
        client.setblocking(False)
        self._clients[client.fileno()] = client
        self._unread[client.fileno()] = deque()
        self._loop.watch(client.fileno(), lambda events: self._on_client(client, events))

    def _on_client(self, client: socket.socket, events: int) -> None:
        if events & OUT:
            self._send_unread(client)
        if events & ~OUT and client.fileno() in self._clients:
            self._read(client)

    def _read(self, client: socket.socket) -> None:
        try:
            received = protocol.receive(client)
        except BlockingIOError:
            return
        except (OSError, ValueError):
            received = None
        if received is None:
            self._hang_up(client)
            return
        message, fds = received
        try:
            self._serve(client, message | {"fds": dict(zip(message.get("fd_names", ()), fds, strict=False))})
        finally:
            for fd in fds:
                os.close(fd)

    def _hang_up(self, client: socket.socket) -> None:
        if self._clients.pop(client.fileno(), None) is not None:
            self._loop.forget(client.fileno())
            del self._unread[client.fileno()]
            client.close()
        self._arm_idle_timer()

    def _send(self, client: socket.socket, message: dict[str, Any]) -> None:
        if client.fileno() not in self._clients:
            return
        unread = self._unread[client.fileno()]
        try:
            if not unread:
                protocol.send(client, message)
                return
        except BlockingIOError:
            self._loop.change(client.fileno(), IN | OUT)
        except OSError:
            self._hang_up(client)
            return
        unread.append(json.loads(json.dumps(message)))  # as it is now
        if len(unread) > _UNREAD_MAX:
            self._hang_up(client)

    def _send_unread(self, client: socket.socket) -> None:
        unread = self._unread[client.fileno()]
        try:
            while unread:
                protocol.send(client, unread[0])
                unread.popleft()
        except BlockingIOError:
            return
        except OSError:
            self._hang_up(client)
            return
        self._loop.change(client.fileno(), IN)

    def _publish(self, state: State) -> None:
        for client in list(self._clients.values()):
            self._send(client, {"event": state})
        self._arm_idle_timer()

    def _arm_idle_timer(self) -> None:
        self._idle_generation += 1
        generation = self._idle_generation
        if not self._clients and not self._containers.any_running():
            self._loop.call_later(_IDLE_S, lambda: self._end_if_idle(generation))

    def _end_if_idle(self, generation: int) -> None:
        if generation == self._idle_generation:
            self._ended = True

    # Verbs

    def _serve(self, client: socket.socket, message: dict[str, Any]) -> None:
        number = message.get("n")

        def reply(result: Any) -> None:
            self._send(client, {"n": number, "result": result})

        try:
            verb = getattr(self, f"verb_{message.get('verb')}", None)
            if verb is None:
                raise Refused("InvalidArgument", f"unknown verb {message.get('verb')!r}")
            verb(message, reply)
        except Refused as error:
            self._send(client, {"n": number, "error": _error(error.reason, error.message, error.retryable)})
        except OSError as error:
            text = f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
            retryable = error.errno in (errno.ENOSPC, errno.ENOMEM, errno.EAGAIN, errno.EBUSY, errno.EMFILE)
            self._send(client, {"n": number, "error": _error("", text, retryable)})
        except Exception as error:
            traceback.print_exc()
            self._send(client, {"n": number, "error": _error("", f"the launcher failed: {error!r}", True)})

    def verb_hello(self, message: dict[str, Any], reply: Callable[[Any], None]) -> None:
        reply({"version": VERSION, "worker": os.getpid(), "supervisor": self._supervisor_pid})

    def verb_make_sandbox(self, message: dict[str, Any], reply: Callable[[Any], None]) -> None:
        directory = self._shared.layout.sandbox_run(message["id"])
        memory = self._shared.layout.sandbox_mem(message["id"])
        make_directory(directory)
        namespaces.make_memory(memory)
        namespaces.make_namespaces(f"{memory}/ns", message["kinds"], message["hostname"], message["sysctls"])
        reply(None)

    def verb_stop_sandbox(self, message: dict[str, Any], reply: Callable[[Any], None]) -> None:
        """Kill all that runs in it; answers when all have exited."""
        left = {container.id for container in self._containers.of_sandbox(message["id"]) if container.running}
        if not left:
            reply(None)

        def exited(container: Container) -> None:
            left.discard(container.id)
            if not left:
                reply(None)

        for container_id in list(left):
            self._containers.stop(container_id, 0, exited)

    def verb_remove_sandbox(self, message: dict[str, Any], reply: Callable[[Any], None]) -> None:
        """Its containers go first, then its namespaces. Answers the containers' ids."""
        left = {container.id for container in self._containers.of_sandbox(message["id"])}
        removed = sorted(left)

        def gone(container_id: str) -> None:
            left.discard(container_id)
            if not left:
                self._remove_namespaces(message["id"])
                reply(removed)

        if not left:
            gone("")
        for container_id in removed:
            self._containers.remove(container_id, lambda container_id=container_id: gone(container_id))  # type: ignore[misc]

    def _remove_namespaces(self, sandbox_id: str) -> None:
        namespaces.unmount(self._shared.layout.sandbox_mem(sandbox_id))
        remove_tree(self._shared.layout.sandbox_run(sandbox_id))

    def verb_create(self, message: dict[str, Any], reply: Callable[[Any], None]) -> None:
        reply(self._containers.create(message["plan"]))

    def verb_start(self, message: dict[str, Any], reply: Callable[[Any], None]) -> None:
        self._containers.start(message["id"], lambda container: reply(container.state))

    def verb_stop(self, message: dict[str, Any], reply: Callable[[Any], None]) -> None:
        if message["id"] not in self._containers.by_id:
            reply(None)
        self._containers.stop(message["id"], message["grace_ms"], lambda container: reply(container.state))

    def verb_remove(self, message: dict[str, Any], reply: Callable[[Any], None]) -> None:
        self._containers.remove(message["id"], lambda: reply(None))

    def verb_exec(self, message: dict[str, Any], reply: Callable[[Any], None]) -> None:
        """Whose descriptors came along: `execution.Job.fds`."""
        self._containers.exec(message["id"], message["argv"], message["fds"])
        reply(None)

    def verb_attach(self, message: dict[str, Any], reply: Callable[[Any], None]) -> None:
        """`line` came along: see `audience`."""
        self._containers.attach(message["id"], message["fds"]["line"], message["stdin"])
        reply(None)

    def verb_status(self, message: dict[str, Any], reply: Callable[[Any], None]) -> None:
        reply(self._containers.find(message["id"]).state)

    def verb_resize(self, message: dict[str, Any], reply: Callable[[Any], None]) -> None:
        reply(self._containers.resize(message["id"], message["resources"]))

    def verb_list(self, message: dict[str, Any], reply: Callable[[Any], None]) -> None:
        reply([container.state for container in self._containers.by_id.values()])

    def verb_shutdown(self, message: dict[str, Any], reply: Callable[[Any], None]) -> None:
        """End the launcher; refused while a container runs."""
        if self._containers.any_running():
            raise Refused("Busy", "containers are running: stop their sandboxes first", retryable=True)
        reply(None)
        self._ended = True


def _error(reason: str, message: str, retryable: bool) -> dict[str, Any]:
    return {"reason": reason, "message": message, "retryable": retryable}

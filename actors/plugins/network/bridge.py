"""The network port's embedded default: a bridge per node, a veth pair per pod, VXLAN between nodes. Needs root.

A thin asynchronous shell: calls run in one thread, in their order, so the event loop never waits for the kernel and no
two calls meet; only removing links, which takes long, has a thread of its own. What it does is in host.py.
"""

from __future__ import annotations

import asyncio
import errno
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from actors.plugins.network.config import NetworkConfig
from actors.plugins.network.host import HostNetwork
from actors.plugins.network.leases import setup_error
from actors.plugins.network.port import Attachment, Endpoint, NetworkResult, Peer
from actors.plugins.network.unlink import Unlinker, derive_interface

T = TypeVar("T")


class BridgeNetwork:
    """`root` keeps the leases; it and `config.bridge` belong to one node. Safe to kill at any point."""

    def __init__(self, root: Path, config: NetworkConfig | None = None) -> None:
        self._root = root
        self._config = (config or NetworkConfig()).filled()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="raypod-network")
        self._unlink_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="raypod-unlink")
        self._opened: HostNetwork | None = None
        self._unlinker: Unlinker | None = None
        self._leaving: deque[str] = deque()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What pods on this host must do without, in sentences; known after `setup`."""
        return self._opened.warnings if self._opened else ()

    async def setup(self, pod_cidr: str) -> None:
        await self._run("setup", lambda host: host.setup(pod_cidr))

    async def add(self, attachment: Attachment) -> NetworkResult:
        return await self._run("add", lambda host: host.add(attachment))

    async def delete(self, attachment: Attachment) -> None:
        """Deletes that come together cost the kernel's waiting time once."""
        self._leaving.append(attachment.sandbox_id)
        await _await("delete", self._unlink_thread, self._unlink_leaving)
        await self._run("delete", lambda host: host.forget([attachment.sandbox_id]))

    async def collect(self, sandbox_ids: frozenset[str]) -> None:
        await self._run("collect", lambda host: host.collect(sandbox_ids))

    async def peers(self, nodes: Mapping[str, Peer]) -> None:
        await self._run("peers", lambda host: host.peers(nodes))

    async def services(self, targets: Mapping[Endpoint, Endpoint]) -> None:
        await self._run("services", lambda host: host.services(targets))

    async def teardown(self) -> None:
        await self._run("teardown", lambda host: host.teardown())

    async def close(self) -> None:
        """Let go of threads and sockets. The network stays as it is. A second call does nothing."""
        if self._opened is not None:
            await self._run("close", lambda host: host.close())
            self._opened = None
        if self._unlinker is not None:
            await _await("close", self._unlink_thread, self._unlinker.close)
            self._unlinker = None
        self._thread.shutdown(wait=False)
        self._unlink_thread.shutdown(wait=False)

    def _unlink_leaving(self) -> None:
        """All that asked since the last time; the calls that find nothing left were served by an earlier one."""
        self._unlinker = self._unlinker or Unlinker(self._config.bridge)
        leaving = [self._leaving.popleft() for _ in range(len(self._leaving))]
        try:
            self._unlinker.remove(derive_interface(self._config.bridge, sandbox_id) for sandbox_id in leaving)
        except BaseException:
            self._leaving.extend(leaving)
            raise

    async def _run(self, verb: str, function: Callable[[HostNetwork], T]) -> T:
        return await _await(verb, self._thread, lambda: function(self._host()))

    def _host(self) -> HostNetwork:
        """Opened in its thread, whose Linux network namespace its sockets belong to."""
        if self._opened is None:
            self._opened = HostNetwork(self._root, self._config)
        return self._opened


async def _await(verb: str, thread: ThreadPoolExecutor, function: Callable[[], T]) -> T:
    """Run it there; the kernel's refusals become PluginErrors."""
    try:
        return await asyncio.get_running_loop().run_in_executor(thread, function)
    except OSError as error:
        raise setup_error(verb, _explain(error)) from error


def _explain(error: OSError) -> str:
    if error.errno == errno.ENOENT and error.filename:
        return f"the Linux network namespace {error.filename} is gone: the pod needs a new sandbox"
    if error.errno in (errno.EPERM, errno.EACCES):
        return f"{error}: raypod needs root (CAP_NET_ADMIN and CAP_SYS_ADMIN) to wire pods"
    if error.errno == errno.ENOSPC:
        return f"{error}: free some space on the disk that holds the node's state"
    return f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}"

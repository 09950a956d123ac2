"""A pod put together from the real parts: native runtime, bridge network and device filter, over devices that are none.

The stand-ins' numbers belong to no driver: opening one gives ENXIO where the filter lets it through, and EPERM where
it does not, so each container tells which devices it has.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from actors.plugins.device.fake import FakeDevices
from actors.plugins.device.port import DeviceEdits
from actors.plugins.image.fake import FakeImages
from actors.plugins.image.port import HOST_IMAGE
from actors.plugins.network.bridge import BridgeNetwork
from actors.plugins.network.config import NetworkConfig
from actors.plugins.runtime.native import NativeRuntime
from actors.plugins.runtime.port import ContainerSpec, ContainerState, SandboxSpec, Security

pytestmark = pytest.mark.root

_numbers = itertools.count()

#: Opens each node; with "make" it makes it under another name first, as CAP_MKNOD allows.
OPENER = """
import errno, json, os, stat, sys
answers = {}
for name, numbers in json.loads(sys.argv[2]).items():
    try:
        if sys.argv[1] == "make":
            name_made = sys.argv[3] + "/made-" + os.path.basename(name)
            os.mknod(name_made, stat.S_IFCHR | 0o666, os.makedev(*numbers))
        os.close(os.open(name_made if sys.argv[1] == "make" else name, os.O_RDWR))
        answers[name] = "opened"
    except OSError as error:
        answers[name] = errno.errorcode[error.errno]
print(json.dumps(answers))
"""
REACH = """
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5)
print(s.getsockname()[0], s.recv(9).decode())
"""


class Pods:
    """Runs one container to its end, in a pod of its own, and answers what it printed."""

    def __init__(self, runtime: NativeRuntime, home: Path) -> None:
        self._runtime, self._home = runtime, home

    async def run(self, code: str, *words: str, devices: DeviceEdits, security: Security = Security()) -> str:
        name = f"{os.getpid()}-{next(_numbers)}"
        sandbox = SandboxSpec(id=f"sandbox-{name}", pod_name=name, pod_namespace="default", pod_uid=name)
        spec = ContainerSpec(
            id=f"container-{name}",
            sandbox_id=sandbox.id,
            name="main",
            image=HOST_IMAGE,
            command=(sys.executable, "-c", code, *words),
            devices=devices,
            security=security,
            log_path=str(self._home / name),
        )
        await self._runtime.run_pod_sandbox(sandbox)
        await self._runtime.create_container(spec)
        await self._runtime.start_container(spec.id)
        for _ in range(30 * 20):
            if (await self._runtime.container_status(spec.id)).state is ContainerState.EXITED:
                break
            await asyncio.sleep(0.05)
        lines = (self._home / name).read_text().splitlines()
        await self._runtime.remove_pod_sandbox(sandbox.id)
        return "\n".join(line.split(" ", 3)[3] for line in lines)


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[BridgeNetwork]:
    network = BridgeNetwork(tmp_path / "network", NetworkConfig(bridge=f"rpd{os.getpid()}"))
    await network.setup("10.191.249.0/24")
    yield network
    await network.teardown()
    await network.close()


@pytest.fixture
async def pods(network: BridgeNetwork, tmp_path: Path) -> AsyncIterator[Pods]:
    runtime = NativeRuntime(tmp_path / "runtime", FakeImages(), network, lambda: time.time_ns() // 1_000_000)
    yield Pods(runtime, tmp_path)
    await runtime.shutdown()


ALL = ("GPU-fake-0000", "GPU-fake-0001", "GPU-fake-0002")


async def ask(pods: Pods, granted: Sequence[str], *how: str) -> dict[str, str]:
    """What opening each GPU's node gives in a container with these: by GPU."""
    devices = FakeDevices(len(ALL))
    nodes = {gpu: (await devices.allocate([gpu])).nodes[0] for gpu in ALL}
    numbers = json.dumps({node.path: (node.major, node.minor) for node in nodes.values()})
    mode, *where = how
    answers = json.loads(await pods.run(OPENER, mode, numbers, *where, devices=await devices.allocate(granted)))
    return {gpu: answers[node.path] for gpu, node in nodes.items()}


@pytest.mark.parametrize("granted", [(), ALL[1:2], ALL])
async def test_a_container_has_exactly_its_devices(pods: Pods, granted: Sequence[str]) -> None:
    for gpu, answer in (await ask(pods, granted, "open")).items():
        assert answer in ({"ENXIO"} if gpu in granted else {"EPERM", "ENOENT"}), gpu


@pytest.mark.parametrize("where", ["/dev", "/tmp"])
async def test_a_container_that_makes_device_nodes_gets_no_more_by_it(pods: Pods, where: str) -> None:
    answers = await ask(pods, ALL[1:2], "make", where)
    assert {answers[gpu] for gpu in ALL if gpu not in ALL[1:2]} <= {"EPERM", "EACCES"}, answers


async def test_the_environment_names_the_devices(pods: Pods) -> None:
    code = "import os; print(os.environ['NVIDIA_VISIBLE_DEVICES'])"
    devices = FakeDevices(2)
    assert await pods.run(code, devices=await devices.allocate(ALL[:2])) == ",".join(ALL[:2])
    assert await pods.run(code, devices=await devices.allocate(())) == "void"


async def test_a_container_reaches_the_node_by_its_own_address(pods: Pods) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    server = await asyncio.start_server(greet, "10.191.249.1", 0)
    port = server.sockets[0].getsockname()[1]
    answer = await pods.run(REACH, "10.191.249.1", str(port), devices=DeviceEdits())
    server.close()
    address, greeting = answer.split()
    assert address.startswith("10.191.249.") and greeting == "hello"

"""The executor's verbs over the fake ports: what a failure of one call makes of the whole operation's answer."""

from __future__ import annotations

import asyncio

from actors.nodelet.config import NodeletConfig
from actors.nodelet.core import NodeletCore
from actors.nodelet.executor import Executor, Ports
from actors.nodelet.fake import FakeApi
from actors.nodelet.operations import Failure, Operation, Result, StopContainer
from actors.plugins.device.fake import FakeDevices
from actors.plugins.errors import PluginError
from actors.plugins.image.fake import FakeImages
from actors.plugins.image.port import ImageConfig
from actors.plugins.network.fake import FakeNetwork
from actors.plugins.runtime.fake import FOREVER, FakeMachine, FakeRuntime, Script
from actors.plugins.runtime.port import ContainerSpec, ContainerState, ContainerStatus, SandboxSpec
from actors.plugins.storage.fake import FakeStorage
from actors.store.local import LocalStore

STOP = StopContainer(pod_uid="u", name="main", container_id="c", grace_ms=0)


class Node:
    """One running container `c`; the verbs in `broken` fail."""

    def __init__(self) -> None:
        self.broken: set[str] = set()
        self.machine, self.images, self.network = FakeMachine(), FakeImages(), FakeNetwork()
        self.images.publish("app", ImageConfig(entrypoint=("/main",)))
        self.runtime = FakeRuntime(
            self.machine, self.images, self.network, lambda: 1, lambda spec: Script(run_ms=FOREVER), self._fault
        )

    def _fault(self, verb: str, name: str) -> PluginError | None:
        return PluginError("runtime", verb, "Unavailable", "the launcher is away") if verb in self.broken else None

    async def run(self) -> None:
        await self.network.setup("10.88.0.0/24")
        image = await self.images.pull_image("app")
        await self.runtime.run_pod_sandbox(SandboxSpec(id="s", pod_uid="u", pod_name="p", pod_namespace="n"))
        await self.runtime.create_container(ContainerSpec(id="c", sandbox_id="s", name="main", image=image.id))
        await self.runtime.start_container("c")

    async def attempt(self, operation: Operation) -> Result:
        ports = Ports(self.runtime, self.images, FakeStorage(), FakeDevices(), FakeApi(lambda: 1))
        core = NodeletCore("node", NodeletConfig())
        return await Executor(core, ports, LocalStore(), lambda: 1, asyncio.Event()).attempt(operation)


async def test_a_stopped_container_is_answered_with_its_exit_code() -> None:
    node = Node()
    await node.run()
    result = await node.attempt(STOP)
    assert isinstance(result, ContainerStatus)
    assert (result.state, result.exit_code) == (ContainerState.EXITED, 143)


async def test_an_end_that_nobody_could_read_is_a_failure_and_not_an_unknown_container() -> None:
    node = Node()
    await node.run()
    node.broken = {"container_status"}
    assert isinstance(await node.attempt(STOP), Failure)


async def test_a_container_that_the_runtime_does_not_know_is_answered_with_none() -> None:
    node = Node()
    assert await node.attempt(STOP) is None

"""What the suites of the runtime port have in common: their subject, its sandbox and containers, and waiting.

The suites name behaviours (`Script`); a subject turns one into a command line, or into a fake's script.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest
from runtime_stand_ins import CountingNetwork, StaticImages

from actors.plugins.errors import PluginError
from actors.plugins.runtime.fake import Script
from actors.plugins.runtime.port import (
    Connection,
    ContainerSpec,
    ContainerState,
    ContainerStatus,
    RuntimePort,
    SandboxSpec,
)

ids = itertools.count(1)


class Subject(Protocol):
    """One implementation under test. `reopen` gives a new instance over the same state, as after a restart."""

    runtime: RuntimePort
    images: StaticImages
    network: CountingNetwork

    async def reopen(self) -> RuntimePort: ...
    def command(self, script: Script) -> tuple[str, ...]: ...
    def listen(self, sandbox_id: str, port: int) -> tuple[str, ...]:
        """The command of a container that accepts connections there, one after the other, and echoes."""
        ...

    def read_log(self, path: str) -> str: ...


def new_sandbox_spec(**fields: object) -> SandboxSpec:
    number = next(ids)
    values = {
        "id": f"sandbox-{number}",
        "pod_name": f"pod-{number}",
        "pod_namespace": "default",
        "pod_uid": str(number),
    }
    return SandboxSpec(**{**values, **fields})  # type: ignore[arg-type]  # by name, as the tests give them


IMAGE, EMPTY_IMAGE = "image-with-shell", "image-without-command"


class OnSubject:
    """The fixtures."""

    @pytest.fixture
    async def sandbox(self, subject: Subject) -> SandboxSpec:
        return (await subject.runtime.run_pod_sandbox(new_sandbox_spec())).spec

    @pytest.fixture
    def spec_of(self, subject: Subject, sandbox: SandboxSpec, tmp_path: Path) -> Callable[..., ContainerSpec]:
        def spec_of(script: Script, **fields: object) -> ContainerSpec:
            name = f"container-{next(ids)}"
            values = {
                "id": name,
                "sandbox_id": sandbox.id,
                "name": "main",
                "image": IMAGE,
                "command": subject.command(script),
                "log_path": str(tmp_path / f"{name}.log"),
                "termination_message_path": "/dev/termination-log",
            }
            return ContainerSpec(**{**values, **fields})  # type: ignore[arg-type]  # by name, as the tests give them

        return spec_of


async def connect(runtime: RuntimePort, sandbox_id: str, port: int) -> Connection:
    for _ in range(400):
        try:
            return await runtime.port_forward(sandbox_id, port)
        except PluginError:
            await asyncio.sleep(0.05)
    raise TimeoutError(f"nobody listens on {port}")


async def run(runtime: RuntimePort, spec: ContainerSpec) -> ContainerStatus:
    await runtime.create_container(spec)
    return await runtime.start_container(spec.id)


async def run_to_exit(runtime: RuntimePort, spec: ContainerSpec) -> ContainerStatus:
    await run(runtime, spec)
    return await wait_exit(runtime, spec.id)


async def wait_exit(runtime: RuntimePort, container_id: str, timeout_s: float = 20) -> ContainerStatus:
    async with asyncio.timeout(timeout_s):
        while True:
            status = await runtime.container_status(container_id)
            if status.state is ContainerState.EXITED:
                return status
            await asyncio.sleep(0.01)


async def until(condition: Callable[[], bool], timeout_s: float = 10) -> None:
    for _ in range(int(timeout_s * 100)):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError("the condition did not come true")

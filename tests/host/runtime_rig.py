"""A native runtime over the host's own root for tests that go behind the port: its processes, its mounts, its files."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "conformance"))

from runtime_stand_ins import CountingNetwork, StaticImages

from actors.plugins.image.port import ImageConfig
from actors.plugins.runtime.native import NativeRuntime
from actors.plugins.runtime.port import ContainerSpec, ContainerState, ContainerStatus, SandboxSpec

HOST = "host-root"
_numbers = itertools.count(1)


class Rig:
    """`image(layers)` adds an image of plain directories; `run` starts a container in a sandbox of its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        #: Layers over "/" may not lie inside it: overlayfs refuses lower layers within each other.
        self.layers = Path(tempfile.mkdtemp(prefix="raypod-layers-", dir="/dev/shm"))
        self.images = StaticImages({HOST: (ImageConfig(), ("/",))})
        self.network = CountingNetwork()
        self.runtime = self.open()

    def open(self) -> NativeRuntime:
        return NativeRuntime(self.root / "node", self.images, self.network, lambda: time.time_ns() // 1_000_000)

    def image(self, *layers: Path, config: ImageConfig | None = None) -> str:
        name = f"image-{next(_numbers)}"
        self.images.images[name] = (config or ImageConfig(), (*map(str, layers), "/"))
        return name

    async def sandbox(self, **fields: Any) -> str:
        name = f"sandbox-{next(_numbers)}"
        spec = SandboxSpec(id=name, pod_name=name, pod_namespace="default", pod_uid=name, **fields)
        await self.runtime.run_pod_sandbox(spec)
        return name

    async def spec(self, *command: str, sandbox: str = "", image: str = HOST, **fields: Any) -> ContainerSpec:
        name = f"container-{next(_numbers)}"
        return ContainerSpec(
            id=name,
            sandbox_id=sandbox or await self.sandbox(),
            name="main",
            image=image,
            command=command,
            log_path=str(self.root / "logs" / f"{name}.log"),
            **fields,
        )

    async def run(self, *command: str, **fields: Any) -> ContainerStatus:
        spec = await self.spec(*command, **fields)
        await self.runtime.create_container(spec)
        return await self.runtime.start_container(spec.id)

    async def shell(self, script: str, **fields: Any) -> tuple[int, str]:
        """Exit code and output (both streams) of a shell script in a container."""
        status = await self.run("/bin/sh", "-c", script, **fields)
        status = await self.wait_exit(status.spec.id)
        return status.exit_code, self.output(status)

    async def wait_exit(self, container_id: str, timeout_s: float = 30) -> ContainerStatus:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            status = await self.runtime.container_status(container_id)
            if status.state is ContainerState.EXITED:
                return status
            await asyncio.sleep(0.02)
        raise TimeoutError(f"{container_id} does not exit: {self.launcher_log()}")

    def output(self, status: ContainerStatus) -> str:
        """The text of the log, its parts joined."""
        path = Path(status.spec.log_path)
        return join_log(path.read_text(errors="replace")) if path.exists() else ""

    async def launcher(self) -> dict[str, int]:
        """Pids of `supervisor` and `worker`."""
        pids: dict[str, int] = await self.runtime._launcher.call("hello")
        return pids

    def launcher_log(self) -> str:
        path = self.root / "node" / "launcher.log"
        return path.read_text() if path.exists() else ""

    def layer(self) -> Path:
        """An empty directory to fill and to give to `image`."""
        path = self.layers / f"layer-{next(_numbers):064d}"
        path.mkdir()
        return path

    async def close(self) -> None:
        shutil.rmtree(self.layers, ignore_errors=True)
        await self.runtime.shutdown()


def join_log(text: str) -> str:
    lines = [line.split(" ", 3) for line in text.splitlines()]
    return "".join(line[3] + ("\n" if line[2] == "F" else "") for line in lines)


async def until(condition: Callable[[], bool], timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the condition did not come true")
        await asyncio.sleep(0.01)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def kill(pid: int) -> None:
    os.kill(pid, 9)

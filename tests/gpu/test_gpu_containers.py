"""A container with a GPU computes on it, and one without cannot reach it, even with the driver and nodes of its own."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from actors.plugins.device.port import Device, DeviceEdits
from actors.plugins.image.fake import FakeImages
from actors.plugins.image.port import HOST_IMAGE
from actors.plugins.network.fake import FakeNetwork
from actors.plugins.runtime.native import NativeRuntime
from actors.plugins.runtime.port import ContainerSpec, ContainerState, ContainerStatus, Mount, SandboxSpec

pytestmark = [pytest.mark.gpu, pytest.mark.root]

PROBES = Path(__file__).parent
_numbers = itertools.count()


@asynccontextmanager
async def native_runtime(root: Path) -> AsyncIterator[NativeRuntime]:
    network = FakeNetwork()
    await network.setup("10.191.253.0/24")
    runtime = NativeRuntime(root=root, images=FakeImages(), network=network, clock=lambda: time.time_ns() // 1_000_000)
    try:
        yield runtime
    finally:
        await runtime.shutdown()


def python() -> str:
    """A Python that is on the root file system, which is all that the host image shows."""
    candidates = (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3")
    on_root = os.stat("/").st_dev
    for candidate in candidates:
        real = os.path.realpath(candidate)
        if os.path.exists(real) and os.stat(real).st_dev == on_root:
            return candidate
    pytest.fail(f"none of {', '.join(candidates)} is on the root file system")


async def _run(root: Path, spec: ContainerSpec) -> ContainerStatus:
    async with native_runtime(root) as runtime:
        sandbox = SandboxSpec(id=spec.sandbox_id, pod_name="gpu", pod_namespace="default", pod_uid=spec.sandbox_id)
        await runtime.run_pod_sandbox(sandbox)
        await runtime.create_container(spec)
        await runtime.start_container(spec.id)
        for _ in range(100 * 20):
            if (status := await runtime.container_status(spec.id)).state is ContainerState.EXITED:
                return status
            await asyncio.sleep(0.05)
        pytest.fail(f"the container is {status.state} after 100 s")


def run_container(
    root: Path, command: Sequence[str], devices: DeviceEdits, mounts: Sequence[Mount] = (), **env: str
) -> tuple[ContainerStatus, str]:
    """Its status after the exit, and what it printed."""
    number = f"{os.getpid()}-{next(_numbers)}"
    log = root / "log"
    spec = ContainerSpec(
        id=f"container-{number}",
        sandbox_id=f"sandbox-{number}",
        name="probe",
        image=HOST_IMAGE,
        command=tuple(command),
        env=env,
        devices=devices,
        log_path=str(log),
        mounts=(Mount(str(PROBES), "/probes", read_only=True), *mounts),
    )
    status = asyncio.run(_run(root / "runtime", spec))
    lines = log.read_text().splitlines() if log.exists() else []
    return status, "\n".join(line.split(" ", 3)[3] for line in lines)


def test_a_cuda_program_computes_in_a_container(gpu: Device, granted: DeviceEdits, tmp_path: Path) -> None:
    status, output = run_container(tmp_path, [python(), "/probes/cuda_probe.py"], granted)
    report = json.loads(output)
    assert report["correct"], report
    assert report["devices"] == [gpu.id]
    assert report["visible"] == gpu.id
    assert (status.exit_code, status.reason) == (0, "Completed")


def test_nvidia_smi_lists_the_gpu_in_a_container(gpu: Device, granted: DeviceEdits, tmp_path: Path) -> None:
    if not any(mount.container_path == "/usr/bin/nvidia-smi" for mount in granted.mounts):
        pytest.skip("this driver came without nvidia-smi")
    status, output = run_container(tmp_path, ["nvidia-smi", "-L"], granted)
    assert gpu.id in output
    assert status.exit_code == 0


#: Makes every node of the GPU itself, says what opening each gives, and then tries CUDA.
INTRUDER = """
import errno, json, os, runpy, stat, sys
opened = {}
for name, numbers in json.loads(sys.argv[1]).items():
    try:
        if not os.path.exists(name):
            os.mknod(name, stat.S_IFCHR | 0o666, os.makedev(*numbers))
        os.close(os.open(name, os.O_RDWR))
        opened[name] = "opened"
    except OSError as error:
        opened[name] = errno.errorcode[error.errno]
print(json.dumps(opened), flush=True)
sys.exit(runpy.run_path("/probes/cuda_probe.py")["main"]())
"""


def test_a_container_without_a_gpu_cannot_reach_it(granted: DeviceEdits, refused: DeviceEdits, tmp_path: Path) -> None:
    """It brings the driver's libraries along, as an image may, and makes the device nodes, as CAP_MKNOD allows."""
    nodes = {node.path: (node.major, node.minor) for node in granted.nodes}
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    for path, target in granted.symlinks:
        (libraries / Path(path).name).symlink_to(target)
    own = [mount for mount in granted.mounts if mount.container_path.startswith("/usr/lib/")]
    for mount in own:
        (libraries / Path(mount.container_path).name).touch()
    mounts = [Mount(str(libraries), "/smuggled")]
    mounts += [Mount(mount.host_path, f"/smuggled/{Path(mount.container_path).name}", read_only=True) for mount in own]
    command = [python(), "-c", INTRUDER, json.dumps(nodes)]
    status, output = run_container(tmp_path, command, refused, mounts, LD_LIBRARY_PATH="/smuggled")
    opened, report = (json.loads(line) for line in output.splitlines())
    assert set(opened.values()) == {"EPERM"}, opened
    assert report["cuInit"] > 0, report
    assert report["devices"] == []
    assert status.exit_code == 3

"""Discovery and device edits against a real driver."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from actors.plugins.device.nvml import NvmlDevices
from actors.plugins.device.port import Device, DeviceEdits
from actors.plugins.errors import PluginError

pytestmark = pytest.mark.gpu

PROBE = Path(__file__).with_name("cuda_probe.py")


def test_a_gpu_is_found_with_everything_a_scheduler_asks_for(gpu: Device) -> None:
    assert gpu.id.startswith("GPU-")
    assert gpu.resource == "nvidia.com/gpu"
    assert int(gpu.attributes["memoryBytes"]) > 1 << 30
    for name in ("model", "pciBusId", "computeCapability", "driverVersion", "cudaVersion", "migMode"):
        assert gpu.attributes[name], name


def test_listing_again_is_quick_and_closing_too() -> None:
    async def measure() -> tuple[float, float]:
        devices = NvmlDevices()
        await devices.list_devices()
        began_s = time.monotonic()
        await devices.list_devices()
        listed_s = time.monotonic()
        await devices.close()
        return listed_s - began_s, time.monotonic() - listed_s

    listing_s, closing_s = asyncio.run(measure())
    assert listing_s < 0.5
    assert closing_s < 3


def test_edits_have_the_nodes_and_libraries_of_this_driver(gpu: Device, granted: DeviceEdits) -> None:
    paths = [node.path for node in granted.nodes]
    assert paths[0].removeprefix("/dev/nvidia").isdigit()
    assert paths[1:] == ["/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools"]
    for node in granted.nodes:
        assert os.stat(node.host_path).st_rdev == os.makedev(node.major, node.minor)
    mounted = {Path(mount.container_path).name for mount in granted.mounts}
    version = gpu.attributes["driverVersion"]
    assert {f"libcuda.so.{version}", f"libnvidia-ml.so.{version}", f"libnvidia-ptxjitcompiler.so.{version}"} <= mounted
    linked = {Path(path).name for path, _ in granted.symlinks}
    assert {"libcuda.so.1", "libnvidia-ml.so.1"} <= linked
    assert all(Path(mount.host_path).is_file() for mount in granted.mounts)


@pytest.mark.root
def test_a_missing_device_node_is_made_again(gpu: Device, granted: DeviceEdits) -> None:
    tools = next(node for node in granted.nodes if node.path.endswith("-tools"))
    os.unlink(tools.path)

    async def allocate() -> DeviceEdits:
        devices = NvmlDevices()
        edits = await devices.allocate([gpu.id])
        await devices.close()
        return edits

    assert asyncio.run(allocate()) == granted
    assert os.stat(tools.path).st_rdev == os.makedev(tools.major, tools.minor)


def test_an_unknown_gpu_is_refused() -> None:
    async def allocate() -> None:
        devices = NvmlDevices()
        try:
            await devices.allocate(["GPU-00000000-0000-0000-0000-000000000000"])
        finally:
            await devices.close()

    with pytest.raises(PluginError, match="UnknownDevice"):
        asyncio.run(allocate())


def test_the_probe_computes_on_the_host(gpu: Device) -> None:
    """So that a failure in a container is the container's."""
    done = subprocess.run([sys.executable, str(PROBE)], capture_output=True, text=True, timeout=100, check=False)
    report = json.loads(done.stdout)
    assert report["correct"], report
    assert gpu.id in report["devices"]


LOADED = """
import runpy, sys
code = runpy.run_path(sys.argv[1])["main"]()
lines = open("/proc/self/maps").read().splitlines()
print(*sorted({line.split()[-1] for line in lines if "/libcuda" in line or "/libnv" in line}), sep="\\n")
sys.exit(code)
"""


def test_the_mounted_libraries_are_enough_for_cuda(granted: DeviceEdits, tmp_path: Path) -> None:
    """CUDA computes with them, laid out as in a container, and loads none of the driver's that one would not get."""
    libraries = [mount for mount in granted.mounts if mount.container_path.startswith("/usr/lib/")]
    for mount in libraries:
        (tmp_path / Path(mount.container_path).name).symlink_to(mount.host_path)
    for path, target in granted.symlinks:
        (tmp_path / Path(path).name).symlink_to(target)
    done = subprocess.run(
        [sys.executable, "-c", LOADED, str(PROBE)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={**os.environ, "LD_LIBRARY_PATH": str(tmp_path)},
    )
    report, *loaded = done.stdout.splitlines()
    assert json.loads(report)["correct"], done
    assert any("/libcuda.so." in path for path in loaded)
    assert set(loaded) <= {mount.host_path for mount in libraries}

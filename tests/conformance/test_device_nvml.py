"""NvmlDevices against the device port's suite, over recorded answers of a driver and a host's files in a directory."""

from __future__ import annotations

import asyncio
import os
import stat
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from device_driver import H100, SECOND, VERSION, RecordedDriver, write_host
from device_suite import DeviceSuite

from actors.plugins.device.config import DevicesConfig
from actors.plugins.device.nvml import NvmlDevices
from actors.plugins.device.port import Device, DeviceMount
from actors.plugins.errors import PluginError

CONFIG = DevicesConfig(check_interval_ms=100)
IN_CONTAINER = "/usr/lib/raypod/nvidia"


@pytest.fixture
def driver() -> RecordedDriver:
    return RecordedDriver(H100, SECOND)


@pytest.fixture
async def devices(driver: RecordedDriver, tmp_path: Path) -> AsyncIterator[NvmlDevices]:
    devices = NvmlDevices(CONFIG, driver, write_host(tmp_path))
    yield devices
    await devices.close()


class TestNvmlDevices(DeviceSuite):
    count = 2


async def test_a_gpu_comes_with_what_cuda_needs_and_nothing_of_its_neighbour(devices: NvmlDevices) -> None:
    edits = await devices.allocate([H100.uuid])
    assert {(node.path, node.major, node.minor) for node in edits.nodes} == {
        ("/dev/nvidia0", 195, 0),
        ("/dev/nvidiactl", 195, 255),
        ("/dev/nvidia-uvm", 238, 0),
        ("/dev/nvidia-uvm-tools", 238, 1),
    }
    assert {mount.container_path for mount in edits.mounts} == {
        f"{IN_CONTAINER}/libcuda.so.{VERSION}",
        f"{IN_CONTAINER}/libnvidia-ml.so.{VERSION}",
        f"{IN_CONTAINER}/libnvidia-ptxjitcompiler.so.{VERSION}",
        "/usr/bin/nvidia-smi",
    }
    assert (f"{IN_CONTAINER}/libcuda.so.1", f"libcuda.so.{VERSION}") in edits.symlinks
    assert (f"{IN_CONTAINER}/libcuda.so", "libcuda.so.1") in edits.symlinks
    assert edits.library_dirs == (IN_CONTAINER,)
    assert edits.env["NVIDIA_DRIVER_CAPABILITIES"] == "compute,utility,video"


async def test_what_is_mounted_exists_on_the_host(devices: NvmlDevices) -> None:
    for mount in (await devices.allocate([H100.uuid])).mounts:
        assert Path(mount.host_path).is_file(), mount


@pytest.mark.root
async def test_missing_device_nodes_are_made_for_everyone(devices: NvmlDevices, tmp_path: Path) -> None:
    edits = await devices.allocate([SECOND.uuid])
    assert sorted(path.name for path in (tmp_path / "dev").iterdir()) == [
        "nvidia-uvm",
        "nvidia-uvm-tools",
        "nvidia1",
        "nvidiactl",
    ]
    for node in edits.nodes:
        found = os.stat(node.host_path)
        assert stat.S_IMODE(found.st_mode) == 0o666
        assert found.st_rdev == os.makedev(node.major, node.minor)


async def test_a_file_that_only_looks_like_a_gpu_is_not_handed_out(devices: NvmlDevices, tmp_path: Path) -> None:
    (tmp_path / "dev/nvidia0").write_text("no device")
    edits = await devices.allocate([H100.uuid])
    assert next(node for node in edits.nodes if node.path == "/dev/nvidia0").host_path == ""


async def test_attributes_are_the_driver_s(devices: NvmlDevices) -> None:
    device = next(device for device in await devices.list_devices() if device.id == H100.uuid)
    assert device.resource == "nvidia.com/gpu"
    assert device.attributes["model"] == "NVIDIA H100 80GB HBM3"
    assert device.attributes["memoryBytes"] == 85520809984
    assert device.attributes["computeCapability"] == "9.0"
    assert device.attributes["driverVersion"] == VERSION
    assert "numaNode" not in device.attributes


async def next_change(feed: AsyncIterator[Device]) -> Device:
    async with asyncio.timeout(10):
        return await anext(feed)


async def test_an_error_of_the_hardware_is_told_and_the_gpu_withheld(
    devices: NvmlDevices, driver: RecordedDriver
) -> None:
    feed = devices.health()
    await devices.list_devices()
    driver.events.put((H100.uuid, 31))
    driver.events.put((H100.uuid, 79))
    changed = await next_change(feed)
    assert (changed.id, changed.healthy) == (H100.uuid, False)
    assert "XID 79: the GPU has fallen off the bus" in changed.reason
    with pytest.raises(PluginError, match="XID 79") as caught:
        await devices.allocate([H100.uuid])
    assert (caught.value.reason, caught.value.retryable) == ("UnhealthyDevice", True)
    await devices.allocate([SECOND.uuid])


async def test_a_gpu_that_vanishes_is_ill_and_one_that_returns_is_well(
    devices: NvmlDevices, driver: RecordedDriver
) -> None:
    feed = devices.health()
    await devices.list_devices()
    driver.gpus.remove(H100)
    changed = await next_change(feed)
    assert (changed.id, changed.healthy) == (H100.uuid, False)
    assert "no longer lists it" in changed.reason
    assert changed.attributes["model"] == "NVIDIA H100 80GB HBM3", "what is known of it stays known"
    driver.gpus.append(H100)
    assert (await next_change(feed)).healthy
    await devices.allocate([H100.uuid])


async def test_a_gpu_that_does_not_answer_keeps_its_attributes(devices: NvmlDevices, driver: RecordedDriver) -> None:
    feed = devices.health()
    before = next(device for device in await devices.list_devices() if device.id == H100.uuid)
    driver.gpus[0] = msgspec.structs.replace(H100, minor=-1, model="", lost="GPU is lost")
    changed = await next_change(feed)
    assert "GPU is lost" in changed.reason
    assert changed.attributes == before.attributes


async def test_a_driver_that_goes_and_comes_back(devices: NvmlDevices, driver: RecordedDriver) -> None:
    assert len(await devices.list_devices()) == 2
    driver.failure = "the NVIDIA kernel module is not loaded"
    assert [device.healthy for device in await devices.list_devices()] == [False, False]
    assert devices.unavailable_reason == driver.failure
    driver.failure = ""
    assert [device.healthy for device in await devices.list_devices()] == [True, True]
    assert devices.unavailable_reason == ""


async def test_without_a_driver_there_are_no_devices_and_the_reason_is_known(tmp_path: Path) -> None:
    driver = RecordedDriver()
    driver.failure = "no NVIDIA driver: libnvidia-ml.so.1 is not installed on this node"
    devices = NvmlDevices(CONFIG, driver, tmp_path)
    assert await devices.list_devices() == []
    assert devices.unavailable_reason == driver.failure
    assert (await devices.allocate(())).env == {"NVIDIA_VISIBLE_DEVICES": "void"}
    driver.failure = ""
    assert await devices.list_devices() == []
    assert devices.unavailable_reason == "the NVIDIA driver finds no GPU"
    await devices.close()


async def test_a_missing_kernel_module_is_named(driver: RecordedDriver, tmp_path: Path) -> None:
    devices = NvmlDevices(CONFIG, driver, write_host(tmp_path, modules=("195 nvidia",)))
    with pytest.raises(PluginError, match="nvidia-uvm is not loaded, and CUDA needs it: modprobe nvidia-uvm"):
        await devices.allocate([H100.uuid])
    await devices.close()


async def test_missing_driver_libraries_are_named(driver: RecordedDriver, tmp_path: Path) -> None:
    devices = NvmlDevices(CONFIG, driver, write_host(tmp_path))
    (tmp_path / f"usr/local/nvidia/lib64/libcuda.so.{VERSION}").unlink()
    with pytest.raises(PluginError, match=rf"libcuda.so.{VERSION} is in none of .*: set library_dirs"):
        await devices.allocate([H100.uuid])
    await devices.close()


async def test_configured_directories_come_first(driver: RecordedDriver, tmp_path: Path) -> None:
    own = write_host(tmp_path) / "opt/driver"
    own.mkdir(parents=True)
    (own / f"libcuda.so.{VERSION}").write_bytes(b"\x7fELF")
    devices = NvmlDevices(DevicesConfig(library_dirs=("/opt/driver",)), driver, tmp_path)
    mounts = (await devices.allocate([H100.uuid])).mounts
    assert DeviceMount(str(own / f"libcuda.so.{VERSION}"), f"{IN_CONTAINER}/libcuda.so.{VERSION}") in mounts
    assert len(mounts) == len({mount.container_path for mount in mounts})
    await devices.close()


async def test_closing_is_quick_and_lets_go_of_the_driver(driver: RecordedDriver, tmp_path: Path) -> None:
    devices = NvmlDevices(DevicesConfig(), driver, write_host(tmp_path))
    await devices.list_devices()
    began_s = time.monotonic()
    await devices.close()
    assert time.monotonic() - began_s < 3
    assert driver.closed == 1

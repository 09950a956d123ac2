"""GPU tests run where a GPU is, and say elsewhere why they do not.

They are written for a bare machine: pytest, msgspec and nvidia-ml-py suffice, so each test runs its own event loop.
"""

from __future__ import annotations

import asyncio

import pytest

from actors.plugins.device.nvml import NvmlDevices
from actors.plugins.device.port import Device, DeviceEdits


async def _look() -> tuple[list[Device], str]:
    devices = NvmlDevices()
    listed = await devices.list_devices()
    await devices.close()
    ill = "; ".join(device.reason for device in listed if not device.healthy)
    return [device for device in listed if device.healthy], devices.unavailable_reason or ill


async def _allocate(*ids: str) -> DeviceEdits:
    devices = NvmlDevices()
    edits = await devices.allocate(ids)
    await devices.close()
    return edits


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    own = [item for item in items if item.path.parent.name == "gpu"]
    if not own:
        return
    healthy, reason = asyncio.run(_look())
    for item in own if not healthy else []:
        item.add_marker(pytest.mark.skip(reason=f"no GPU to test with: {reason}"))


@pytest.fixture(scope="session")
def gpu() -> Device:
    """The first healthy one."""
    return asyncio.run(_look())[0][0]


@pytest.fixture(scope="session")
def granted(gpu: Device) -> DeviceEdits:
    """What a container with that GPU gets."""
    return asyncio.run(_allocate(gpu.id))


@pytest.fixture(scope="session")
def refused() -> DeviceEdits:
    """What a container without a GPU gets."""
    return asyncio.run(_allocate())

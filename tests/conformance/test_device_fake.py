"""The fake devices against the device port's suite, and the failures that only a fake can play."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from device_suite import DeviceSuite

from actors.plugins.device.fake import FakeDevices
from actors.plugins.device.port import DevicePort
from actors.plugins.errors import PluginError


class TestFakeDevices(DeviceSuite):
    count = 3

    @pytest.fixture
    async def devices(self) -> AsyncIterator[DevicePort]:
        devices = FakeDevices(3)
        yield devices
        await devices.close()


async def test_an_unhealthy_device_is_listed_told_and_refused() -> None:
    devices = FakeDevices(2)
    feed = devices.health()
    devices.set_health("GPU-fake-0001", False, "XID 79: fallen off the bus")
    devices.set_health("GPU-fake-0001", False, "XID 79: fallen off the bus")
    devices.set_health("GPU-fake-0001", True)
    devices.set_health("GPU-fake-0000", False, "ECC")
    await devices.close()
    async with asyncio.timeout(5):
        changes = [(device.id, device.healthy) async for device in feed]
    assert changes == [("GPU-fake-0001", False), ("GPU-fake-0001", True), ("GPU-fake-0000", False)]
    assert [device.healthy for device in await devices.list_devices()] == [False, True]
    with pytest.raises(PluginError, match="ECC") as caught:
        await devices.allocate(["GPU-fake-0000"])
    assert (caught.value.reason, caught.value.retryable) == ("UnhealthyDevice", True)

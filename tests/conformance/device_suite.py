"""What every implementation of the device port must do. Subclass it, and say in `devices` what to run it over."""

from __future__ import annotations

import asyncio
import os
import stat

import pytest

from actors.plugins.device.port import DevicePort
from actors.plugins.errors import PluginError


class DeviceSuite:
    """The fixture `devices` yields a port with at least `count` healthy devices."""

    count = 1

    async def test_devices_are_listed_sorted_and_stably(self, devices: DevicePort) -> None:
        listed = await devices.list_devices()
        ids = [device.id for device in listed]
        assert len(ids) >= self.count
        assert ids == sorted(set(ids))
        assert ids == [device.id for device in await devices.list_devices()]
        assert all(device.resource and (device.healthy or device.reason) for device in listed)

    async def test_a_container_without_devices_gets_none_and_is_told_so(self, devices: DevicePort) -> None:
        edits = await devices.allocate(())
        assert edits.nodes == ()
        assert edits.mounts == ()
        assert edits.env["NVIDIA_VISIBLE_DEVICES"] == "void"

    async def test_each_device_has_nodes_that_no_other_device_has(self, devices: DevicePort) -> None:
        own: dict[str, set[tuple[int, int]]] = {}
        for device in await devices.list_devices():
            edits = await devices.allocate([device.id])
            own[device.id] = {(node.major, node.minor) for node in edits.nodes}
            assert edits.env["NVIDIA_VISIBLE_DEVICES"] == device.id
        for device_id, numbers in own.items():
            others = [value for key, value in own.items() if key != device_id]
            assert numbers - set().union(*others), f"{device_id} has no node of its own"

    async def test_all_devices_together_are_the_union(self, devices: DevicePort) -> None:
        ids = [device.id for device in await devices.list_devices()]
        together = await devices.allocate(ids)
        single = [set((await devices.allocate([device_id])).nodes) for device_id in ids]
        assert set(together.nodes) == set().union(*single)
        assert len(together.nodes) == len(set(together.nodes))
        assert together.env["NVIDIA_VISIBLE_DEVICES"].split(",") == ids

    async def test_nodes_are_usable_as_they_are(self, devices: DevicePort) -> None:
        (first, *_) = await devices.list_devices()
        for node in (await devices.allocate([first.id])).nodes:
            assert node.path.startswith("/dev/")
            assert node.type in ("b", "c")
            assert node.permissions and set(node.permissions) <= set("rwm")
            if node.host_path:
                assert stat.S_ISCHR(os.stat(node.host_path).st_mode) == (node.type == "c")

    async def test_allocating_twice_answers_the_same(self, devices: DevicePort) -> None:
        (first, *_) = await devices.list_devices()
        assert await devices.allocate([first.id]) == await devices.allocate([first.id, first.id])

    async def test_an_unknown_device_is_refused_by_name(self, devices: DevicePort) -> None:
        with pytest.raises(PluginError, match="GPU-none") as caught:
            await devices.allocate(["GPU-none"])
        assert (caught.value.port, caught.value.reason, caught.value.retryable) == ("device", "UnknownDevice", False)

    async def test_closing_ends_the_health_feed(self, devices: DevicePort) -> None:
        feed = devices.health()
        await devices.close()
        async with asyncio.timeout(10):
            assert [device async for device in feed] == []

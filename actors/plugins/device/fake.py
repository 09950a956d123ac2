"""GPUs that are none: device nodes of a number that Linux keeps for experiments, and the environment of real ones.

A container that may use such a node gets ENXIO when it opens it, one that may not gets EPERM: enough to prove that it
has exactly its devices, without hardware. For tests, the simulator and trying raypod out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import msgspec

from actors.plugins.device.health import HealthFeed
from actors.plugins.device.port import Device, DeviceEdits, DeviceNode
from actors.plugins.device.selection import GPU_RESOURCE, select_devices

#: Char major 120: "LOCAL/EXPERIMENTAL USE" (kernel, admin-guide/devices.txt), never given out dynamically.
FAKE_MAJOR = 120


class FakeDevices:
    """Passes the conformance suite. Ids are stable: `GPU-fake-0000`, ...; `set_health` plays the failing hardware."""

    def __init__(self, count: int = 0, *, memory_bytes: int = 80 << 30, model: str = "Fake GPU") -> None:
        self._minors = {f"GPU-fake-{index:04d}": index for index in range(count)}
        self._devices = {
            key: Device(id=key, resource=GPU_RESOURCE, attributes={"model": model, "memoryBytes": memory_bytes})
            for key in self._minors
        }
        self._feed = HealthFeed()

    async def list_devices(self) -> list[Device]:
        return [self._devices[key] for key in sorted(self._devices)]

    async def allocate(self, device_ids: Sequence[str]) -> DeviceEdits:
        chosen = [device.id for device in select_devices(self._devices.values(), device_ids)]
        return DeviceEdits(
            nodes=tuple(self._node(key) for key in chosen),
            env={"NVIDIA_VISIBLE_DEVICES": ",".join(chosen) or "void"},
        )

    def health(self) -> AsyncIterator[Device]:
        return self._feed.subscribe()

    async def close(self) -> None:
        self._feed.close()

    def set_health(self, device_id: str, healthy: bool, reason: str = "") -> None:
        """Publishes only what changed."""
        changed = msgspec.structs.replace(self._devices[device_id], healthy=healthy, reason=reason)
        if changed != self._devices[device_id]:
            self._devices[device_id] = changed
            self._feed.publish(changed)

    def _node(self, device_id: str) -> DeviceNode:
        minor = self._minors[device_id]
        return DeviceNode(path=f"/dev/nvidia{minor}", type="c", major=FAKE_MAJOR, minor=minor)

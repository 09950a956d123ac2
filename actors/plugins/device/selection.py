"""From the ids that were asked for to the devices, or to the error that says which one cannot be had. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from actors.plugins.device.port import Device
from actors.plugins.errors import PluginError

GPU_RESOURCE = "nvidia.com/gpu"


def select_devices(devices: Iterable[Device], device_ids: Sequence[str]) -> list[Device]:
    """In the order asked for, each once. UnknownDevice (not retryable), UnhealthyDevice (retryable)."""
    known = {device.id: device for device in devices}
    chosen = []
    for device_id in dict.fromkeys(device_ids):
        device = known.get(device_id)
        if device is None:
            here = ", ".join(sorted(known)) or "none"
            message = f"no device {device_id!r} on this node (there are: {here}): delete the pod so that it is replaced"
            raise PluginError("device", "allocate", "UnknownDevice", message, retryable=False)
        if not device.healthy:
            message = f"device {device_id} is unhealthy: {device.reason}; the pod waits until it has recovered"
            raise PluginError("device", "allocate", "UnhealthyDevice", message)
        chosen.append(device)
    return chosen

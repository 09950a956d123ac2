"""What the driver tells about a GPU, and what follows from it: the device that is offered, and whether it is healthy.

Pure. Sources: NVML API reference; NVIDIA XID errors catalogue; the NVIDIA device plugin's list of harmless XIDs.
"""

from __future__ import annotations

import msgspec

from actors.plugins.device.port import Device
from actors.plugins.device.selection import GPU_RESOURCE

#: Errors of the application on the GPU, after which the GPU is as good as before.
APPLICATION_XIDS = frozenset({13, 31, 43, 45, 68, 109})

_XID_MEANINGS = {
    48: "double-bit memory error",
    62: "internal micro-controller halt",
    63: "memory row remapping recorded",
    64: "memory row remapping failed",
    74: "NVLink error",
    79: "the GPU has fallen off the bus",
    92: "high rate of single-bit memory errors",
    94: "contained memory error",
    95: "uncontained memory error",
    119: "timeout of the GPU's system processor",
    120: "error of the GPU's system processor",
}
_RECOVERY_ACTIONS = {
    1: "reset the GPU",
    2: "reboot the node",
    3: "drain its peers",
    4: "drain the node and reset the GPU",
    6: "reset its bus",
    7: "reboot the node",
}


class GpuFacts(msgspec.Struct, frozen=True, kw_only=True):
    """As NVML says; -1 and "" where it says nothing. `lost`: NVML's words when the GPU does not answer."""

    uuid: str
    minor: int = -1
    model: str = ""
    memory_bytes: int = 0
    pci_bus_id: str = ""
    compute_capability: str = ""
    driver_version: str = ""
    cuda_version: str = ""
    numa_node: int = -1
    mig: bool = False
    remap_failed: bool = False
    recovery_action: int = 0
    lost: str = ""


def derive_device(facts: GpuFacts, xid: int = 0) -> Device:
    """The device as offered to pods. `xid` is the last one that concerns the hardware, 0 for none."""
    reason = explain_illness(facts, xid)
    known: dict[str, str | int] = {
        "model": facts.model,
        "memoryBytes": facts.memory_bytes,
        "pciBusId": facts.pci_bus_id,
        "computeCapability": facts.compute_capability,
        "driverVersion": facts.driver_version,
        "cudaVersion": facts.cuda_version,
        "migMode": "Enabled" if facts.mig else "Disabled",
    }
    attributes = {key: value for key, value in known.items() if value}
    if facts.numa_node >= 0:
        attributes["numaNode"] = facts.numa_node
    return Device(id=facts.uuid, resource=GPU_RESOURCE, healthy=not reason, reason=reason, attributes=attributes)


def explain_illness(facts: GpuFacts, xid: int) -> str:
    """Why no pod should get this GPU, the gravest reason first; "" when it is well."""
    if facts.lost:
        return f"the GPU does not answer ({facts.lost}): reset it or reboot the node"
    if facts.remap_failed:
        return "remapping a bad memory row failed: the GPU must be replaced"
    if action := _RECOVERY_ACTIONS.get(facts.recovery_action):
        return f"the driver asks to {action} (nvidia-smi -q says more)"
    if xid and xid not in APPLICATION_XIDS:
        meaning = _XID_MEANINGS.get(xid, "see NVIDIA's XID catalogue")
        return f"XID {xid}: {meaning}; reset the GPU, then restart raypod on this node"
    if facts.mig:
        return "MIG mode is on, and slices of a GPU are not offered: turn it off (nvidia-smi -mig 0)"
    return ""

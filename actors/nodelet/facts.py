"""What the shell knows of its machine, handed to the core as a value at start and whenever it changes."""

from __future__ import annotations

import msgspec

from actors.api.tokens import ApiAddress
from actors.plugins.device.port import Device


class NodeFacts(msgspec.Struct, frozen=True, kw_only=True):
    """`message` "" : the node is ready; else what keeps it from running pods. `logs_dir` holds all pods' logs.

    `api`: where a gateway is. `network_warnings`: sentences about what pods on this node must do without.
    """

    address: str
    hostname: str = ""
    cpu_millis: int = 0
    memory_bytes: int = 0
    storage_bytes: int = 0
    architecture: str = "amd64"
    kernel_version: str = ""
    os_image: str = ""
    machine_id: str = ""
    boot_id: str = ""
    version: str = ""
    runtime_version: str = ""
    pod_cidr: str = ""
    resolv_conf: str = ""
    logs_dir: str = ""
    devices: tuple[Device, ...] = ()
    message: str = ""
    network_warnings: tuple[str, ...] = ()
    api: ApiAddress = ApiAddress("", 0)

"""The device nodes of NVIDIA's driver: which a container needs, under which numbers, and made where they are missing.

Majors are the kernel's to say (/proc/devices). The driver makes nodes only when nvidia-modprobe is installed, so we
do. /dev/nvidia-caps/* is left out: it lets one reconfigure MIG, and only MIG's slices need it.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from actors.plugins.device.port import DeviceNode
from actors.plugins.errors import PluginError

_log = logging.getLogger(__name__)
_CONTROL_MINOR = 255
_NODE_MODE = 0o666


def parse_majors(text: str) -> dict[str, int]:
    """Character devices of /proc/devices: driver -> major."""
    characters = text.partition("Block devices:")[0].splitlines()[1:]
    return {name: int(major) for major, name in (line.split(None, 1) for line in characters if line.strip())}


def plan_nodes(majors: dict[str, int], minors: Sequence[int]) -> list[DeviceNode]:
    """The GPUs' own nodes first, then what every CUDA program opens. UnhealthyDevice when a module is missing."""
    gpu = next((majors[name] for name in ("nvidia", "nvidia-frontend", "nvidiactl") if name in majors), None)
    uvm = majors.get("nvidia-uvm")
    if gpu is None or uvm is None:
        module = "nvidia" if gpu is None else "nvidia-uvm"
        message = f"the kernel module {module} is not loaded, and CUDA needs it: modprobe {module}"
        raise PluginError("device", "allocate", "UnhealthyDevice", message)
    own = [_node(f"/dev/nvidia{minor}", gpu, minor) for minor in minors]
    control = _node("/dev/nvidiactl", gpu, _CONTROL_MINOR)
    return [*own, control, _node("/dev/nvidia-uvm", uvm, 0), _node("/dev/nvidia-uvm-tools", uvm, 1)]


def read_majors(root: Path) -> dict[str, int]:
    return parse_majors((root / "proc/devices").read_text())


def ensure_node(node: DeviceNode, root: Path) -> DeviceNode:
    """With `host_path` when the host has the node, which is made if it is missing; without where it cannot be.

    A node of other numbers is not trusted: the runtime then makes its own.
    """
    path = root / node.path.lstrip("/")
    number = os.makedev(node.major, node.minor)
    try:
        if not path.exists():
            os.mknod(path, stat.S_IFCHR | _NODE_MODE, number)
            path.chmod(_NODE_MODE)
        found = path.stat()
    except OSError as error:
        _log.info("device node %s cannot be made (%s); containers get their own", path, error)
        return node
    if not stat.S_ISCHR(found.st_mode) or found.st_rdev != number:
        _log.warning("%s is not the character device %d:%d; containers get their own", path, node.major, node.minor)
        return node
    return DeviceNode(node.path, node.type, node.major, node.minor, str(path), node.permissions)


def _node(path: str, major: int, minor: int) -> DeviceNode:
    return DeviceNode(path, "c", major, minor)

"""What this machine has, as Ray resources: CPUs, memory, GPUs. Read once per raylet."""

from __future__ import annotations

import os
import re
from pathlib import Path

from actors.cluster.config import RayConfig


def machine_resources(config: RayConfig) -> dict[str, float]:
    """The raylet's resources. GPUs are counted by their device nodes: their ids are the device plugin's business."""
    resources: dict[str, float] = {
        "CPU": config.cpus or len(os.sched_getaffinity(0)),
        "memory": config.memory_bytes or _memory_bytes() - config.object_store_bytes,
        "object_store_memory": config.object_store_bytes,
    }
    gpus = sum(1 for entry in Path("/dev").iterdir() if re.fullmatch(r"nvidia\d+", entry.name))
    return resources | ({"GPU": gpus} if gpus else {})


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

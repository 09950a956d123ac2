"""A driver with the answers of a real one (two H100, driver 580.159.04), and a host's files to go with it."""

from __future__ import annotations

import queue
from pathlib import Path

import msgspec

from actors.plugins.device.driver import DriverError
from actors.plugins.device.facts import GpuFacts

VERSION = "580.159.04"
H100 = GpuFacts(
    uuid="GPU-6e4d33cd-e811-f234-ad55-4cac46d496bd",
    minor=0,
    model="NVIDIA H100 80GB HBM3",
    memory_bytes=85520809984,
    pci_bus_id="00000000:00:06.0",
    compute_capability="9.0",
    driver_version=VERSION,
    cuda_version="13.0",
)
SECOND = msgspec.structs.replace(H100, uuid="GPU-1b7a4f10-0000-4000-8000-4cac46d49602", minor=1)


class RecordedDriver:
    """`gpus`, `failure` and `events` are the hardware; a test changes them under the port's feet."""

    def __init__(self, *gpus: GpuFacts) -> None:
        self.gpus = list(gpus)
        self.failure = ""
        self.events: queue.Queue[tuple[str, int]] = queue.Queue()
        self.closed = 0

    def open(self) -> None:
        self._check()

    def read_gpus(self) -> list[GpuFacts]:
        self._check()
        return list(self.gpus)

    def library_dir(self) -> str:
        return "/usr/local/nvidia/lib64"

    def wait_xid(self, timeout_ms: int) -> tuple[str, int] | None:
        try:
            return self.events.get(timeout=timeout_ms / 1000)
        except queue.Empty:
            return None

    def close(self) -> None:
        self.closed += 1

    def _check(self) -> None:
        if self.failure:
            raise DriverError(self.failure)


def write_host(root: Path, *, modules: tuple[str, ...] = ("195 nvidia", "195 nvidiactl", "238 nvidia-uvm")) -> Path:
    """/proc/devices, an empty /dev, and the driver's libraries with their links."""
    libraries, binaries = root / "usr/local/nvidia/lib64", root / "usr/local/nvidia/bin"
    for directory in (root / "proc", root / "dev", libraries, binaries):
        directory.mkdir(parents=True)
    lines = ["Character devices:", "  1 mem", *modules, "", "Block devices:", "  7 loop", ""]
    (root / "proc/devices").write_text("\n".join(lines))
    for name in ("libcuda", "libnvidia-ml", "libnvidia-ptxjitcompiler", "libGLX_nvidia"):
        (libraries / f"{name}.so.{VERSION}").write_bytes(b"\x7fELF")
        (libraries / f"{name}.so.1").symlink_to(f"{name}.so.{VERSION}")
        (libraries / f"{name}.so").symlink_to(f"{name}.so.1")
    (libraries / "libcuda.so.535.1").write_bytes(b"an older driver's")
    (binaries / "nvidia-smi").write_text("#!/bin/sh\n")
    (binaries / "nvidia-smi").chmod(0o755)
    return root

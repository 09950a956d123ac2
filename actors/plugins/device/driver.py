"""NVML through pynvml, turned into plain values. Blocking: to be called from a thread, never from the event loop.

The library is found as the dynamic linker finds it, or in the directories where drivers lie without an ldconfig entry
(GKE's /usr/local/nvidia, a driver container's root).
"""

from __future__ import annotations

import contextlib
import ctypes
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pynvml

from actors.plugins.device.facts import GpuFacts

T = TypeVar("T")
_LIBRARY = "libnvidia-ml.so.1"
_GONE = (pynvml.NVML_ERROR_GPU_IS_LOST, pynvml.NVML_ERROR_RESET_REQUIRED, pynvml.NVML_ERROR_UNKNOWN)


class DriverError(Exception):
    """No GPU can be had here; the text says why."""


class Driver(Protocol):
    """What NvmlDevices needs of a driver."""

    def open(self) -> None:
        """DriverError with the reason. A second call does nothing."""
        ...

    def read_gpus(self) -> list[GpuFacts]: ...

    def library_dir(self) -> str:
        """Where the library in use lies, "" when unknown."""
        ...

    def wait_xid(self, timeout_ms: int) -> tuple[str, int] | None:
        """The next (uuid, XID); None after the timeout."""
        ...

    def close(self) -> None: ...


class NvmlDriver:
    """The real one."""

    def __init__(self, library_dirs: Iterable[str]) -> None:
        self._library_dirs = tuple(library_dirs)
        self._events: Any = None

    def open(self) -> None:
        if self._events is not None:
            return
        self._preload()
        try:
            pynvml.nvmlInit()
            self._events = pynvml.nvmlEventSetCreate()
            for handle in self._handles().values():
                self._register(handle)
        except pynvml.NVMLError as error:
            raise DriverError(_explain(error)) from error

    def read_gpus(self) -> list[GpuFacts]:
        """Raises DriverError when the driver is gone altogether."""
        try:
            driver = str(pynvml.nvmlSystemGetDriverVersion())
            cuda = int(pynvml.nvmlSystemGetCudaDriverVersion_v2())
            handles = self._handles()
        except pynvml.NVMLError as error:
            raise DriverError(_explain(error)) from error
        version = f"{cuda // 1000}.{cuda % 1000 // 10}"
        return [_read(uuid, handle, driver, version) for uuid, handle in handles.items()]

    def library_dir(self) -> str:
        maps = Path("/proc/self/maps").read_text()
        found = re.search(r"(/\S+)/libnvidia-ml\.so\.", maps)
        return found.group(1) if found else ""

    def wait_xid(self, timeout_ms: int) -> tuple[str, int] | None:
        try:
            event = pynvml.nvmlEventSetWait_v2(self._events, timeout_ms)
            if event.eventType == pynvml.nvmlEventTypeXidCriticalError:
                return str(pynvml.nvmlDeviceGetUUID(event.device)), int(event.eventData)
            return str(pynvml.nvmlDeviceGetUUID(event.device)), 48
        except pynvml.NVMLError as error:
            if error.value in (pynvml.NVML_ERROR_TIMEOUT, *_GONE):
                return None
            raise DriverError(_explain(error)) from error

    def close(self) -> None:
        if self._events is not None:
            with contextlib.suppress(pynvml.NVMLError):
                pynvml.nvmlEventSetFree(self._events)
                pynvml.nvmlShutdown()
            self._events = None

    def _preload(self) -> None:
        """A library that is loaded already is found by its name."""
        for directory in self._library_dirs:
            if (Path(directory) / _LIBRARY).exists():
                with contextlib.suppress(OSError):
                    ctypes.CDLL(str(Path(directory) / _LIBRARY), mode=ctypes.RTLD_GLOBAL)
                    return

    def _handles(self) -> dict[str, Any]:
        """By UUID. One that is lost already at start has none, and is not offered."""
        found = {}
        for index in range(pynvml.nvmlDeviceGetCount()):
            with contextlib.suppress(pynvml.NVMLError):
                handle = pynvml.nvmlDeviceGetHandleByIndex(index)
                found[str(pynvml.nvmlDeviceGetUUID(handle))] = handle
        return found

    def _register(self, handle: Any) -> None:
        wanted = pynvml.nvmlEventTypeXidCriticalError | pynvml.nvmlEventTypeDoubleBitEccError
        with contextlib.suppress(pynvml.NVMLError):
            supported = pynvml.nvmlDeviceGetSupportedEventTypes(handle)
            pynvml.nvmlDeviceRegisterEvents(handle, wanted & supported, self._events)


def _read(uuid: str, handle: Any, driver: str, cuda: str) -> GpuFacts:
    try:
        pci = pynvml.nvmlDeviceGetPciInfo(handle)
        bus_id = str(pci.busId).lower()
        return GpuFacts(
            uuid=uuid,
            minor=int(pynvml.nvmlDeviceGetMinorNumber(handle)),
            model=str(pynvml.nvmlDeviceGetName(handle)),
            memory_bytes=int(pynvml.nvmlDeviceGetMemoryInfo(handle).total),
            pci_bus_id=bus_id,
            compute_capability=".".join(map(str, pynvml.nvmlDeviceGetCudaComputeCapability(handle))),
            driver_version=driver,
            cuda_version=cuda,
            numa_node=_numa_node(bus_id),
            mig=_or(lambda: bool(pynvml.nvmlDeviceGetMigMode(handle)[0]), False),
            remap_failed=_or(lambda: bool(pynvml.nvmlDeviceGetRemappedRows(handle)[3]), False),
            recovery_action=_or(lambda: _recovery_action(handle), 0),
        )
    except pynvml.NVMLError as error:
        return GpuFacts(uuid=uuid, driver_version=driver, cuda_version=cuda, lost=str(error))


def _recovery_action(handle: Any) -> int:
    (field,) = pynvml.nvmlDeviceGetFieldValues(handle, [pynvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION])
    return int(field.value.uiVal) if field.nvmlReturn == pynvml.NVML_SUCCESS else 0


def _numa_node(bus_id: str) -> int:
    """From sysfs, which says -1 where there is but one; NVML's own answer needs a newer platform."""
    domain, _, rest = bus_id.partition(":")
    try:
        return int(Path(f"/sys/bus/pci/devices/{domain[-4:]}:{rest}/numa_node").read_text())
    except (OSError, ValueError):
        return -1


def _or(read: Callable[[], T], otherwise: T) -> T:
    """What older GPUs and drivers do not support, or have no function for."""
    try:
        return read()
    except pynvml.NVMLError as error:
        if error.value in _GONE:
            raise
        return otherwise


def _explain(error: Any) -> str:
    if error.value == pynvml.NVML_ERROR_LIBRARY_NOT_FOUND:
        return f"no NVIDIA driver: {_LIBRARY} is not installed on this node"
    if error.value == pynvml.NVML_ERROR_DRIVER_NOT_LOADED:
        return "the NVIDIA kernel module is not loaded (try: modprobe nvidia)"
    if error.value == pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH:
        return "the NVIDIA driver was updated while loaded: reboot the node"
    return f"NVML: {error}"

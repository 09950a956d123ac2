"""NVIDIA GPUs as pods get them: found and watched through NVML, whole, with the host's driver. Runs in the nodelet.

Without a driver there are simply no devices, and `unavailable_reason` says why; a driver that comes later is found.
A GPU that failed stays listed as unhealthy until the driver vouches for it again.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from actors.plugins.device.config import DevicesConfig
from actors.plugins.device.driver import Driver, DriverError, NvmlDriver
from actors.plugins.device.facts import APPLICATION_XIDS, GpuFacts, derive_device
from actors.plugins.device.health import HealthFeed
from actors.plugins.device.libraries import CAPABILITIES, CONTAINER_DIR, STANDARD_DIRS, DriverFiles, find_files
from actors.plugins.device.nodes import ensure_node, plan_nodes, read_majors
from actors.plugins.device.port import Device, DeviceEdits
from actors.plugins.device.selection import select_devices
from actors.plugins.errors import PluginError

_log = logging.getLogger(__name__)
_WAIT_MS = 1000


class NvmlDevices:
    """NVML is asked in one thread, its events are awaited in another, which starts with the first GPU.

    `root`: where the host's /dev, /proc and driver are looked for.
    """

    def __init__(
        self, config: DevicesConfig | None = None, driver: Driver | None = None, root: Path = Path("/")
    ) -> None:
        self._config = config or DevicesConfig()
        self._root = root
        self._driver = driver or NvmlDriver((*self._config.library_dirs, *STANDARD_DIRS))
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="raypod-nvml")
        self._watch: threading.Thread | None = None
        self._check: asyncio.Future[None] | None = None
        self._closing = threading.Event()
        self._feed = HealthFeed()
        self._facts: dict[str, GpuFacts] = {}
        self._xids: dict[str, int] = {}
        self._files: tuple[str, DriverFiles] = ("", DriverFiles())
        self.unavailable_reason = ""

    async def list_devices(self) -> list[Device]:
        await self._refresh()
        return self._devices()

    async def allocate(self, device_ids: Sequence[str]) -> DeviceEdits:
        if not device_ids:
            return DeviceEdits(env={"NVIDIA_VISIBLE_DEVICES": "void"})
        await self._refresh()
        chosen = [device.id for device in select_devices(self._devices(), device_ids)]
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._derive_edits, chosen)

    def health(self) -> AsyncIterator[Device]:
        return self._feed.subscribe()

    async def close(self) -> None:
        """Ends the feeds at once and the threads within a second. A second call does nothing."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._feed.close()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    async def _refresh(self) -> None:
        loop = asyncio.get_running_loop()
        facts = await loop.run_in_executor(self._thread, self._read)
        self._absorb(facts)
        if self._facts and self._watch is None and not self._closing.is_set():
            self._watch = threading.Thread(
                target=self._watch_health, args=(loop,), name="raypod-nvml-watch", daemon=True
            )
            self._watch.start()

    def _read(self) -> list[GpuFacts]:
        try:
            self._driver.open()
            facts = self._driver.read_gpus()
            self.unavailable_reason = "" if facts else "the NVIDIA driver finds no GPU"
            return facts
        except DriverError as error:
            self.unavailable_reason = str(error)
            return []

    def _absorb(self, facts: Sequence[GpuFacts]) -> None:
        """On the event loop. A GPU that was there and is not named any more has fallen off the bus."""
        before = self._devices()
        absent = self.unavailable_reason or "the driver no longer lists it"
        present = {gpu.uuid: gpu for gpu in facts}
        for uuid, former in self._facts.items():
            gpu = present.get(uuid)
            if gpu is None or gpu.lost:
                # What is known about it stays known; only its silence is new.
                present[uuid] = msgspec.structs.replace(former, lost=gpu.lost if gpu else absent)
        self._facts = present
        self._publish_changes(before)

    def _publish_changes(self, before: Sequence[Device]) -> None:
        former = {device.id: device for device in before}
        for device in self._devices():
            if device.id in former and device != former[device.id]:
                self._feed.publish(device)

    def _devices(self) -> list[Device]:
        return [derive_device(self._facts[uuid], self._xids.get(uuid, 0)) for uuid in sorted(self._facts)]

    def _derive_edits(self, uuids: Sequence[str]) -> DeviceEdits:
        nodes = plan_nodes(read_majors(self._root), [self._facts[uuid].minor for uuid in uuids])
        files = self._driver_files(self._facts[uuids[0]].driver_version)
        return DeviceEdits(
            nodes=tuple(ensure_node(node, self._root) for node in nodes),
            mounts=files.mounts,
            symlinks=files.symlinks,
            library_dirs=(CONTAINER_DIR,),
            env={"NVIDIA_VISIBLE_DEVICES": ",".join(uuids), "NVIDIA_DRIVER_CAPABILITIES": CAPABILITIES},
        )

    def _driver_files(self, version: str) -> DriverFiles:
        """Searched once per driver version."""
        if self._files[0] != version:
            libraries = [d for d in (*self._config.library_dirs, self._driver.library_dir(), *STANDARD_DIRS) if d]
            binaries = [*self._config.binary_dirs, *(f"{d}/../bin" for d in libraries), "/usr/bin"]
            files = find_files(version, libraries, binaries, self._root)
            if not files.has_cuda:
                message = f"libcuda.so.{version} is in none of {', '.join(libraries)}: set library_dirs"
                raise PluginError("device", "allocate", "UnhealthyDevice", message)
            self._files = (version, files)
        return self._files[1]

    def _watch_health(self, loop: asyncio.AbstractEventLoop) -> None:
        """The watching thread: events as they come, everything else at every check."""
        next_check_s = time.monotonic() + self._config.check_interval_ms / 1000
        while not self._closing.is_set():
            try:
                event = self._driver.wait_xid(min(_WAIT_MS, self._config.check_interval_ms))
            except DriverError as error:
                _log.warning("device: waiting for GPU events failed: %s", error)
                event = None
                self._closing.wait(self._config.check_interval_ms / 1000)
            due = time.monotonic() >= next_check_s
            if event is None and not due:
                continue
            next_check_s = time.monotonic() + self._config.check_interval_ms / 1000
            try:
                loop.call_soon_threadsafe(self._on_change, event)
            except RuntimeError:
                return

    def _on_change(self, event: tuple[str, int] | None) -> None:
        """On the event loop."""
        if event is not None and event[1] not in APPLICATION_XIDS:
            before = self._devices()
            self._xids[event[0]] = event[1]
            self._publish_changes(before)
        if not self._closing.is_set():
            self._check = asyncio.ensure_future(self._refresh())
            self._check.add_done_callback(_log_failure)

    def _close(self) -> None:
        if self._watch is not None:
            self._watch.join(timeout=2 * _WAIT_MS / 1000)
        self._driver.close()


def _log_failure(task: asyncio.Future[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _log.error("device: reading the GPUs failed", exc_info=task.exception())

"""Which implementation stands behind each node port, by name: adding a plugin is one line in its table.

The nodelet builds its plugins here, once per start. Implementations are imported when they are chosen, so a node does
not load what it does not use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

import msgspec

from actors.api.clock import Millis
from actors.plugins.device.config import DevicesConfig
from actors.plugins.device.port import DevicePort
from actors.plugins.image.config import ImagesConfig
from actors.plugins.image.port import ImagePort
from actors.plugins.network.config import NetworkConfig
from actors.plugins.network.port import NetworkPort
from actors.plugins.runtime.port import RuntimePort
from actors.plugins.storage.port import StoragePort

Clock = Callable[[], Millis]


class PluginSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`root`: the node's state directory. `choices`: port name -> implementation name; the default is each first."""

    root: Path
    clock: Clock
    images: ImagesConfig
    network: NetworkConfig
    devices: DevicesConfig
    choices: Mapping[str, str] = {}


@runtime_checkable
class OwnProcesses(Protocol):
    """A plugin that has processes outside the nodelet, which go on after it."""

    async def shutdown(self) -> None:
        """End them, with all that they run. A second call does nothing."""
        ...


class Plugins(msgspec.Struct, frozen=True, kw_only=True):
    runtime: RuntimePort
    images: ImagePort
    network: NetworkPort
    storage: StoragePort
    devices: DevicePort


def build_plugins(settings: PluginSettings) -> Plugins:
    """Raises ValueError for a name that no implementation has."""
    check_choices(settings.choices)
    images = _select(settings, "image", IMAGES)(settings)
    network = _select(settings, "network", NETWORKS)(settings)
    runtime = _select(settings, "runtime", RUNTIMES)(settings, images, network)
    return Plugins(
        runtime=runtime,
        images=images,
        network=network,
        storage=_select(settings, "storage", STORAGES)(settings),
        devices=_select(settings, "device", DEVICES)(settings),
    )


def _image_store(settings: PluginSettings) -> ImagePort:
    from actors.plugins.image.store import ImageStore

    return ImageStore(settings.root / "images", settings.images, settings.clock)


def _bridge_network(settings: PluginSettings) -> NetworkPort:
    from actors.plugins.network.bridge import BridgeNetwork

    return BridgeNetwork(settings.root / "network", settings.network)


def _fake_network(settings: PluginSettings) -> NetworkPort:
    from actors.plugins.network.fake import FakeNetwork

    return FakeNetwork(settings.network)


def _native_runtime(settings: PluginSettings, images: ImagePort, network: NetworkPort) -> RuntimePort:
    from actors.plugins.runtime.native import NativeRuntime

    return NativeRuntime(root=settings.root, images=images, network=network, clock=settings.clock)


def _fake_runtime(settings: PluginSettings, images: ImagePort, network: NetworkPort) -> RuntimePort:
    from actors.plugins.runtime.fake import FOREVER, FakeMachine, FakeRuntime, Script

    return FakeRuntime(FakeMachine(), images, network, settings.clock, lambda spec: Script(run_ms=FOREVER))


def _local_storage(settings: PluginSettings) -> StoragePort:
    from actors.plugins.storage.local import LocalStorage

    return LocalStorage(settings.root / "volumes")


def _devices(settings: PluginSettings) -> DevicePort:
    """Real GPUs where there are some and they are wanted; the configured number of fakes otherwise."""
    if settings.devices.fake_gpus or not settings.devices.nvml:
        return _fake_devices(settings)
    from actors.plugins.device.nvml import NvmlDevices

    return NvmlDevices(settings.devices)


def _fake_devices(settings: PluginSettings) -> DevicePort:
    from actors.plugins.device.fake import FakeDevices

    return FakeDevices(settings.devices.fake_gpus)


B = TypeVar("B")
RUNTIMES: dict[str, Callable[[PluginSettings, ImagePort, NetworkPort], RuntimePort]] = {
    "native": _native_runtime,
    "fake": _fake_runtime,
}
IMAGES: dict[str, Callable[[PluginSettings], ImagePort]] = {"store": _image_store}
NETWORKS: dict[str, Callable[[PluginSettings], NetworkPort]] = {"bridge": _bridge_network, "fake": _fake_network}
STORAGES: dict[str, Callable[[PluginSettings], StoragePort]] = {"local": _local_storage}
DEVICES: dict[str, Callable[[PluginSettings], DevicePort]] = {"nvml": _devices, "fake": _fake_devices}


TABLES: Mapping[str, Mapping[str, object]] = {
    "runtime": RUNTIMES,
    "image": IMAGES,
    "network": NETWORKS,
    "storage": STORAGES,
    "device": DEVICES,
}


def check_choices(choices: Mapping[str, str]) -> None:
    """Raises ValueError for a port that there is not, and for a name that no implementation of it has."""
    for port, name in choices.items():
        if port not in TABLES:
            raise ValueError(f"plugins: there is no port {port!r}; the ports are {', '.join(TABLES)}")
        if name not in TABLES[port]:
            raise ValueError(f"plugins: there is no {port} {name!r}; choose one of {', '.join(sorted(TABLES[port]))}")


def _select(settings: PluginSettings, port: str, table: dict[str, B]) -> B:
    return table[settings.choices.get(port, next(iter(table)))]

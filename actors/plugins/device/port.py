"""Devices a node offers and what a container needs to use some of them (shaped as CDI 1.1's containerEdits).

Every failure is a PluginError("device"). A container sees only the devices in its edits: the runtime's device
filter refuses all others, also to a container that makes its own device nodes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

import msgspec


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """`id` is the vendor's stable one (a GPU's UUID); `resource` as pods ask for it (`nvidia.com/gpu`)."""

    id: str
    resource: str
    healthy: bool = True
    reason: str = ""
    attributes: dict[str, str | int] = {}


class DeviceNode(msgspec.Struct, frozen=True):
    """`type`: c or b. `permissions`: a subset of rwm for the device filter."""

    path: str
    type: str
    major: int
    minor: int
    host_path: str = ""
    permissions: str = "rw"


class DeviceMount(msgspec.Struct, frozen=True):
    host_path: str
    container_path: str


class DeviceEdits(msgspec.Struct, frozen=True, kw_only=True):
    """`symlinks`: (path in the container, target). `library_dirs` are added to the container's ld.so.cache search
    (by LD_LIBRARY_PATH when the image has no ldconfig)."""

    nodes: tuple[DeviceNode, ...] = ()
    mounts: tuple[DeviceMount, ...] = ()
    env: dict[str, str] = {}
    symlinks: tuple[tuple[str, str], ...] = ()
    library_dirs: tuple[str, ...] = ()


class DevicePort(Protocol):
    async def list_devices(self) -> list[Device]:
        """All devices, sorted by id, the unhealthy too."""
        ...

    async def allocate(self, device_ids: Sequence[str]) -> DeviceEdits:
        """What a container with exactly these devices gets; () hides all. Fails with UnknownDevice, UnhealthyDevice."""
        ...

    def health(self) -> AsyncIterator[Device]:
        """A device each time its health changes."""
        ...

    async def close(self) -> None: ...

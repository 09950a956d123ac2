"""CSI's NodePublishVolume for the volumes of one pod. Every failure is a PluginError("storage"): FailedMount."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec


class VolumeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`source_type` is the field of the pod's volume (`emptyDir`, `hostPath`, `configMap`, `secret`, ...) and
    `source` its value; `files` the contents for configMap and secret volumes (path -> (bytes, mode)); `owners` the
    user ids of files that are not root's."""

    pod_uid: str
    name: str
    source_type: str
    source: dict[str, Any] = {}
    files: dict[str, tuple[bytes, int]] = {}
    owners: dict[str, int] = {}
    fs_group: int = -1


class StoragePort(Protocol):
    async def publish_volume(self, request: VolumeRequest) -> str:
        """The host path to bind into containers. A second call answers the same path and updates files atomically."""
        ...

    async def unpublish_volumes(self, pod_uid: str) -> None:
        """Unmount and delete what was made for the pod; host paths are the user's and stay. Repeatable."""
        ...

    async def published(self) -> frozenset[str]:
        """The pod uids that still have volumes here."""
        ...

"""Volumes that need nothing but the node: StoragePort over a directory.

    <root>/<pod uid>/<volume>     the directory (or the tmpfs mounted there) that containers bind

Everything made for a pod is below its uid, so unpublishing is: unmount all there, remove all there; repeated after a
crash it goes on where it was. The nodelet owns one.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from weakref import WeakValueDictionary

from actors.plugins.storage import empty_dir, host_path, written
from actors.plugins.storage.faults import as_plugin_error, refused
from actors.plugins.storage.mounts import mount_tmpfs, unmount_below
from actors.plugins.storage.names import check_name
from actors.plugins.storage.port import VolumeRequest
from actors.plugins.tree import remove_tree

#: Kubelet keeps config maps on disk and what may be secret in memory.
_IN_MEMORY = {"configMap": False, "secret": True, "projected": True, "downwardAPI": True}
_SUPPORTED = ("emptyDir", "hostPath", *_IN_MEMORY)
#: A bound for the tmpfs of a secret volume: it takes only what the files need.
_FILES_BYTES_MAX = 64 << 20


class LocalStorage:
    """StoragePort over the directory `root`. Used from one event loop."""

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(parents=True, exist_ok=True)
        root.chmod(0o700)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def publish_volume(self, request: VolumeRequest) -> str:
        with as_plugin_error("publish_volume", f"volume {request.name!r}"):
            check_name(request.pod_uid, "the pod's uid")
            check_name(request.name, "the volume's name")
            async with self._lock(request.pod_uid):
                return await asyncio.to_thread(self._publish, request)

    async def unpublish_volumes(self, pod_uid: str) -> None:
        with as_plugin_error("unpublish_volumes", f"volumes of pod {pod_uid}"):
            check_name(pod_uid, "the pod's uid")
            async with self._lock(pod_uid):
                await asyncio.to_thread(self._unpublish, self._root / pod_uid)

    async def published(self) -> frozenset[str]:
        with as_plugin_error("published", "volumes"):
            return frozenset(path.name for path in self._root.iterdir())

    def _publish(self, request: VolumeRequest) -> str:
        if request.source_type not in _SUPPORTED:
            raise refused(f"volumes of type {request.source_type} are not supported: use {', '.join(_SUPPORTED)}")
        if request.source_type == "hostPath":
            return host_path.publish(request.source)
        path = self._root / request.pod_uid / request.name
        path.parent.mkdir(exist_ok=True)
        if request.source_type == "emptyDir":
            empty_dir.publish(path, request.source, request.fs_group)
        else:
            if _IN_MEMORY[request.source_type]:
                path.mkdir(exist_ok=True)
                mount_tmpfs(path, f"mode=0755,size={_FILES_BYTES_MAX}")
            written.publish(path, request.files, request.fs_group, request.owners)
        return str(path)

    def _unpublish(self, path: Path) -> None:
        unmount_below(path)
        remove_tree(path)

    def _lock(self, pod_uid: str) -> asyncio.Lock:
        """Two calls for one pod come one after the other."""
        return self._locks.setdefault(pod_uid, asyncio.Lock())

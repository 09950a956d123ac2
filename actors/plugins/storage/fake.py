"""StoragePort in memory, for the simulator and for tests of others. Passes the port's conformance suite."""

from __future__ import annotations

from actors.plugins.errors import PluginError
from actors.plugins.storage.faults import as_plugin_error, refused
from actors.plugins.storage.names import check_name, check_paths
from actors.plugins.storage.port import VolumeRequest

_SUPPORTED = ("emptyDir", "hostPath", "configMap", "secret", "projected", "downwardAPI")


class FakeStorage:
    """`volumes`: what is published, by pod uid and name. `faults`: volume names whose publishing fails."""

    def __init__(self) -> None:
        self.volumes: dict[str, dict[str, VolumeRequest]] = {}
        self.faults: dict[str, PluginError] = {}

    async def publish_volume(self, request: VolumeRequest) -> str:
        with as_plugin_error("publish_volume", f"volume {request.name!r}"):
            check_name(request.pod_uid, "the pod's uid")
            check_name(request.name, "the volume's name")
            check_paths({*request.files, *request.owners})
            if request.source_type not in _SUPPORTED:
                raise refused(f"volumes of type {request.source_type} are not supported")
            if (fault := self.faults.get(request.name)) is not None:
                raise fault
            if request.source_type == "hostPath":
                return _host_path(str(request.source.get("path") or ""))
            self.volumes.setdefault(request.pod_uid, {})[request.name] = request
            return f"/fake/{request.pod_uid}/{request.name}"

    async def unpublish_volumes(self, pod_uid: str) -> None:
        self.volumes.pop(pod_uid, None)

    async def published(self) -> frozenset[str]:
        return frozenset(self.volumes)


def _host_path(path: str) -> str:
    if not path.startswith("/") or ".." in path.split("/"):
        raise refused(f"hostPath.path {path!r} must be absolute and without '..'")
    return path

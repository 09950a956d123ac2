"""What every implementation of the storage port must do. Subclass it; the fixture `storage` says over what."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from actors.plugins.errors import PluginError
from actors.plugins.storage.port import StoragePort, VolumeRequest

FILES = {"key": (b"value", 0o644), "sub/dir/key": (b"other", 0o400)}


def volume(source_type: str, name: str = "data", uid: str = "pod-1", **fields: Any) -> VolumeRequest:
    return VolumeRequest(pod_uid=uid, name=name, source_type=source_type, **fields)


async def failure_of(call: object) -> PluginError:
    with pytest.raises(PluginError) as caught:
        await call  # type: ignore[misc]
    assert (caught.value.port, caught.value.reason) == ("storage", "FailedMount")
    assert caught.value.message
    return caught.value


class StorageSuite:
    @pytest.mark.parametrize("kind", ["emptyDir", "configMap", "secret", "projected", "downwardAPI"])
    async def test_publishing_again_answers_the_same_path(self, storage: StoragePort, kind: str) -> None:
        files = {} if kind == "emptyDir" else FILES
        path = await storage.publish_volume(volume(kind, files=files))
        assert path.startswith("/")
        assert await storage.publish_volume(volume(kind, files=files)) == path
        assert await storage.published() == {"pod-1"}

    async def test_volumes_of_pods_are_apart(self, storage: StoragePort) -> None:
        requests = [volume("emptyDir", name, uid) for name in ("a", "b") for uid in ("pod-1", "pod-2")]
        paths = await asyncio.gather(*(storage.publish_volume(request) for request in requests))
        assert len(set(paths)) == 4
        assert await storage.published() == {"pod-1", "pod-2"}

    async def test_unpublishing_is_repeatable_and_leaves_other_pods_alone(self, storage: StoragePort) -> None:
        for uid in ("pod-1", "pod-2"):
            await storage.publish_volume(volume("secret", uid=uid, files=FILES))
        for _ in range(2):
            await storage.unpublish_volumes("pod-1")
            assert await storage.published() == {"pod-2"}
        await storage.unpublish_volumes("never-there")

    async def test_a_host_path_is_the_users_own(self, storage: StoragePort) -> None:
        request = volume("hostPath", source={"path": "/etc", "type": "Directory"})
        assert await storage.publish_volume(request) == "/etc"
        await storage.unpublish_volumes("pod-1")
        assert await storage.publish_volume(request) == "/etc"

    @pytest.mark.parametrize("path", ["", "relative", "/a/../etc", ".."])
    async def test_host_paths_that_are_none(self, storage: StoragePort, path: str) -> None:
        error = await failure_of(storage.publish_volume(volume("hostPath", source={"path": path})))
        assert not error.retryable and "hostPath" in error.message

    @pytest.mark.parametrize("kind", ["persistentVolumeClaim", "nfs", "csi", ""])
    async def test_a_kind_that_is_not_supported_is_named(self, storage: StoragePort, kind: str) -> None:
        error = await failure_of(storage.publish_volume(volume(kind)))
        assert not error.retryable and kind in error.message and "'data'" in error.message

    @pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "/etc", "a\0b", "n" * 256])
    async def test_names_that_would_lead_elsewhere(self, storage: StoragePort, name: str) -> None:
        for request in (volume("emptyDir", name=name), volume("emptyDir", uid=name)):
            assert not (await failure_of(storage.publish_volume(request))).retryable

    @pytest.mark.parametrize(
        "path",
        ["/etc/passwd", "../x", "a/../../x", "..", "..data", "..x/y", "", "a//b", "a/", "./a", "a/.", "n" * 256, "a\0"],
    )
    async def test_paths_of_files_that_would_lead_elsewhere(self, storage: StoragePort, path: str) -> None:
        error = await failure_of(storage.publish_volume(volume("configMap", files={path: (b"x", 0o644)})))
        assert not error.retryable

    async def test_a_path_cannot_be_file_and_directory(self, storage: StoragePort) -> None:
        files = {"a/b": (b"x", 0o644), "a": (b"x", 0o644)}
        assert not (await failure_of(storage.publish_volume(volume("configMap", files=files)))).retryable

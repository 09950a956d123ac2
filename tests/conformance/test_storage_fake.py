"""The fake storage against the storage port's suite."""

from __future__ import annotations

import pytest
from storage_suite import FILES, StorageSuite, failure_of, volume

from actors.plugins.errors import PluginError
from actors.plugins.storage.fake import FakeStorage
from actors.plugins.storage.port import StoragePort


class TestFakeStorage(StorageSuite):
    @pytest.fixture
    def storage(self) -> StoragePort:
        return FakeStorage()


async def test_a_fault_is_raised_until_it_is_taken_away() -> None:
    storage = FakeStorage()
    storage.faults["data"] = PluginError("storage", "publish_volume", "FailedMount", "the disk is full")
    assert (await failure_of(storage.publish_volume(volume("emptyDir")))).retryable
    storage.faults.clear()
    await storage.publish_volume(volume("configMap", files=FILES))
    assert storage.volumes["pod-1"]["data"].files == FILES

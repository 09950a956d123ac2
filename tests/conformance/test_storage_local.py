"""LocalStorage against the storage port's suite, with real mounts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from storage_suite import StorageSuite

from actors.plugins.storage.local import LocalStorage
from actors.plugins.storage.mounts import mounts_below, unmount_below
from actors.plugins.storage.port import StoragePort

pytestmark = pytest.mark.root


class TestLocalStorage(StorageSuite):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> Iterator[StoragePort]:
        yield LocalStorage(tmp_path / "volumes")
        unmount_below(tmp_path)
        assert mounts_below(tmp_path) == []

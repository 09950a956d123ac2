"""What an exit means."""

from __future__ import annotations

import pytest

from actors.plugins.errors import PluginError
from actors.plugins.runtime.errors import check_id
from actors.plugins.runtime.exits import derive_exit_code, derive_reason
from actors.plugins.runtime.spawn import derive_cgroup


@pytest.mark.parametrize(
    ("status", "code"), [(0, 0), (3 << 8, 3), (255 << 8, 255), (9, 137), (15, 143), (11 | 0x80, 139)]
)
def test_wait_statuses(status: int, code: int) -> None:
    assert derive_exit_code(status) == code


@pytest.mark.parametrize(
    ("code", "oom_kills", "reason"),
    [
        (0, 0, "Completed"),
        (0, 2, "Completed"),
        (1, 0, "Error"),
        (137, 0, "Error"),
        (137, 1, "OOMKilled"),
        (1, 1, "OOMKilled"),
    ],
)
def test_reasons(code: int, oom_kills: int, reason: str) -> None:
    assert derive_reason(code, oom_kills) == reason


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-x", "a b", "a\n", "a" * 129, "ä"])
def test_names_that_are_no_ids(name: str) -> None:
    with pytest.raises(PluginError) as caught:
        check_id("create_container", name)
    assert not caught.value.retryable


def test_names_that_are_ids() -> None:
    for name in ("a", "0b1c-2d", "pod_1.main", "a" * 128):
        check_id("create_container", name)


def test_each_state_directory_has_a_cgroup_of_its_own() -> None:
    assert derive_cgroup("/a") == derive_cgroup("/a") != derive_cgroup("/b")

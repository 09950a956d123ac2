"""Names that strangers give to volumes and files."""

from __future__ import annotations

import pytest

from actors.plugins.storage.faults import VolumeFault
from actors.plugins.storage.names import check_name, check_paths


@pytest.mark.parametrize("name", ["data", "a.b", "...", ".hidden", "-rf", "käse", "n" * 255])
def test_names_that_stay_where_they_are(name: str) -> None:
    assert check_name(name, "the name") == name


@pytest.mark.parametrize("name", ["", ".", "..", "/", "a/b", "../a", "a\0", "ä" * 128])
def test_names_that_do_not(name: str) -> None:
    with pytest.raises(VolumeFault, match="the name"):
        check_name(name, "the name")


@pytest.mark.parametrize("paths", [[], ["a"], ["a", "b/c", "b/d/e"], ["a.b", "a/b"], [".x", "x..y/z.."]])
def test_paths_of_one_volume(paths: list[str]) -> None:
    check_paths(paths)


@pytest.mark.parametrize(
    "paths",
    [["/a"], ["../a"], ["a/../b"], ["..a"], ["a/"], ["a//b"], ["./a"], [""], ["a", "a/b"], ["a/b/c", "a-b", "a/b"]],
)
def test_paths_that_lead_elsewhere_or_collide(paths: list[str]) -> None:
    with pytest.raises(VolumeFault) as caught:
        check_paths(paths)
    assert not caught.value.retryable

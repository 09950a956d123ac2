"""Laws of unpacking, over tars made of few names, so that every pair of entries meets: nothing outside the layer is
touched, only Corrupt is raised, what was unpacked can be removed, and files hold what the last entry said."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from image_tars import BLKTYPE, CHRTYPE, DIRTYPE, FIFOTYPE, LNKTYPE, REGTYPE, SYMTYPE, Entry, entry, tar, unpack_to

from actors.plugins.image.faults import Corrupt
from actors.plugins.tree import remove_tree

pytestmark = pytest.mark.root

PART = st.sampled_from(["a", "b", "l", "outside", "victim", ".wh.a", ".wh.l", ".wh..wh..opq", "..", "."])
PATH = st.lists(PART, min_size=1, max_size=4).map("/".join)
TARGET = st.one_of(PATH, PATH.map(lambda path: f"/{path}"), st.sampled_from(["../outside", "/", "../outside/victim"]))
KIND = st.sampled_from([REGTYPE, REGTYPE, DIRTYPE, SYMTYPE, SYMTYPE, LNKTYPE, FIFOTYPE, CHRTYPE, BLKTYPE])


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    kind = draw(KIND)
    return entry(
        draw(PATH),
        draw(st.binary(max_size=3)) if kind == REGTYPE else b"",
        kind=kind,
        target=draw(TARGET) if kind in (SYMTYPE, LNKTYPE) else "",
        mode=draw(st.sampled_from([0o644, 0o4755, 0])),
        owner=(draw(st.sampled_from([0, 7])), 0),
        device=draw(st.sampled_from([(0, 0), (8, 0), (1, 3)])),
        pax=draw(st.sampled_from([{}, {"SCHILY.xattr.trusted.overlay.redirect": "/outside"}])),
    )


def snapshot(directory: Path) -> list[tuple[object, ...]]:
    paths = [directory, *sorted(directory.rglob("*"))]
    found = [(path, path.lstat()) for path in paths]
    return [
        (path, s.st_mode, s.st_uid, s.st_nlink, s.st_mtime_ns, s.st_ctime_ns, s.st_ino, tuple(os.listxattr(path)))
        for path, s in found
    ]


GONE = [entry(".wh.a"), entry("a/.wh.a")]


@settings(max_examples=300)
@given(st.lists(entries(), max_size=8))
@example([*GONE, entry("a", b"x")])
@example([*GONE, entry("a", kind=SYMTYPE, target="a")])
@example([*GONE, entry("a", b"x"), entry("a/b", b"y")])
@example([*GONE, entry("a", kind=DIRTYPE), entry("a/a", b"x"), entry("a/a/b", b"y")])
def test_nothing_outside_is_touched_and_nothing_but_corrupt_is_raised(made: list[Entry]) -> None:
    with tempfile.TemporaryDirectory() as temp:
        outside, layer = Path(temp, "outside"), Path(temp, "layer")
        outside.mkdir()
        (outside / "victim").write_text("untouched")
        (outside / "a").mkdir()
        before = snapshot(outside)
        try:
            unpack_to(layer, tar(*made))
        except Corrupt:
            pass
        else:
            check(layer)
        assert snapshot(outside) == before
        assert sorted(os.listdir(temp)) == ["layer", "outside"]
        remove_tree(layer)
        assert os.listdir(temp) == ["outside"]
        assert snapshot(outside) == before


def check(layer: Path) -> None:
    """What a layer may hold: no device but whiteouts and the harmless ones, no xattr but overlayfs' opaque."""
    for path in layer.rglob("*"):
        found = path.lstat()
        assert not stat.S_ISBLK(found.st_mode)
        assert stat.S_ISDIR(found.st_mode) or not path.name.startswith(".wh.")
        if stat.S_ISCHR(found.st_mode):
            assert found.st_rdev in (0, os.makedev(1, 3))
        if not path.is_symlink():
            assert set(os.listxattr(path)) <= {"trusted.overlay.opaque"}


@given(st.lists(st.tuples(st.sampled_from("abc"), st.binary(max_size=5)), max_size=8))
def test_of_files_the_last_wins(files: list[tuple[str, bytes]]) -> None:
    with tempfile.TemporaryDirectory() as temp:
        unpack_to(Path(temp), tar(*(entry(f"d/{name}", content) for name, content in files)))
        there = {path.name: path.read_bytes() for path in Path(temp).rglob("*") if path.is_file()}
        assert there == dict(files)

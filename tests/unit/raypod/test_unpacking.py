"""What a hostile container may send as its tar, and what is written of it."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from raypod.errors import CopyError
from raypod.unpacking import parts_of, stays_inside, unpack


def archive(*members: tuple[str, bytes, str, bytes]) -> io.BytesIO:
    """(name, type, linkname, contents) each."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, target, contents in members:
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.size, member.mode = kind, target, len(contents), 0o6755
            tar.addfile(member, io.BytesIO(contents))
    stream.seek(0)
    return stream


def link(name: str, target: str) -> tuple[str, bytes, str, bytes]:
    return name, tarfile.SYMTYPE, target, b""


def file(name: str, contents: bytes = b"x") -> tuple[str, bytes, str, bytes]:
    return name, tarfile.REGTYPE, "", contents


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_bytes(b"mine")
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def test_files_folders_and_links(root: Path) -> None:
    stream = archive(
        ("d", tarfile.DIRTYPE, "", b""), file("d/a", b"a" * 3_000_000), link("d/up", "../top"), file("top"),
        ("d/again", tarfile.LNKTYPE, "d/a", b""),
    )  # fmt: skip
    assert unpack(stream, str(root), parts_of) == (5, [])
    assert (root / "d/a").read_bytes() == b"a" * 3_000_000
    assert os.readlink(root / "d/up") == "../top"
    assert (root / "d/again").stat().st_ino == (root / "d/a").stat().st_ino
    assert (root / "d/a").stat().st_mode & 0o7777 == 0o755, "no set-uid bit of a stranger"
    assert sorted(os.listdir(root / "d")) == ["a", "again", "up"]


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../../secret", "..", "a/.."])
def test_names_that_lead_out(root: Path, name: str) -> None:
    with pytest.raises(CopyError, match="outside"):
        unpack(archive(file(name)), str(root), parts_of)
    assert (root.parent / "secret").read_bytes() == b"mine"


def test_nothing_is_written_through_a_link_of_the_archive(root: Path) -> None:
    unpack(archive(link("out", ".."), file("out/secret")), str(root), parts_of)
    assert (root.parent / "secret").read_bytes() == b"mine"
    assert (root / "out/secret").read_bytes() == b"x"


def test_nothing_is_written_through_a_link_that_was_there(root: Path) -> None:
    (root / "out").symlink_to("..")
    with pytest.raises(CopyError, match="a link"):
        unpack(archive(file("out/secret")), str(root), parts_of)
    (root / "file").symlink_to("../secret")
    unpack(archive(file("file")), str(root), parts_of)
    assert (root.parent / "secret").read_bytes() == b"mine"
    assert not (root / "file").is_symlink()


@pytest.mark.parametrize("target", ["/etc/passwd", "..", "../secret", "d/../..", "d/.."])
def test_links_that_lead_out_are_left_out(root: Path, target: str) -> None:
    count, left_out = unpack(archive(link("l", target)), str(root), parts_of)
    assert (count, len(left_out)) == (0, 1)
    assert os.listdir(root) == []


def test_two_links_do_not_make_a_way_out() -> None:
    """`inner -> ../..` is the folder itself, so `inner/..` would be its parent."""
    assert stays_inside(("a", "b"), "../..")
    assert not stays_inside((), "a/b/inner/..")


def test_a_link_to_a_file_that_was_there_is_refused(root: Path) -> None:
    (root / "own").write_bytes(b"own")
    with pytest.raises(CopyError, match="has not sent"):
        unpack(archive(("l", tarfile.LNKTYPE, "own", b"")), str(root), parts_of)


def test_devices_are_left_out(root: Path) -> None:
    assert unpack(archive(("null", tarfile.CHRTYPE, "", b""), ("p", tarfile.FIFOTYPE, "", b"")), str(root), parts_of)[
        1
    ] == ["null: neither file, folder nor link", "p: neither file, folder nor link"]


def test_a_broken_archive_leaves_no_half_file(root: Path) -> None:
    whole = archive(file("a", b"1" * 100_000)).getvalue()
    with pytest.raises(CopyError, match="broken off"):
        unpack(io.BytesIO(whole[:50_000]), str(root), parts_of)
    assert os.listdir(root) == []


def test_a_header_of_gigabytes_is_not_read(root: Path) -> None:
    member = tarfile.TarInfo("x")
    member.type, member.size = tarfile.XHDTYPE, 8 << 30
    with pytest.raises(CopyError, match="no archive"):
        unpack(io.BytesIO(member.tobuf(tarfile.GNU_FORMAT) + bytes(1024)), str(root), parts_of)

"""Layers as they are, odd ones and hostile ones: what is unpacked, what is refused, and that nothing gets out."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from image_tars import BLKTYPE, CHRTYPE, DIRTYPE, FIFOTYPE, LNKTYPE, SYMTYPE, Entry, entry, tar, unpack_to

from actors.plugins.image.faults import Corrupt
from actors.plugins.tree import remove_tree

pytestmark = pytest.mark.root

DEEP = "/".join("d" for _ in range(1100))


@pytest.fixture
def layer(tmp_path: Path) -> Iterator[Path]:
    """The layer's directory, beside a directory that nothing may touch."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_text("untouched")
    before = outside.stat().st_mtime_ns
    yield tmp_path / "layer"
    assert sorted(path.name for path in tmp_path.iterdir()) in (["layer", "outside"], ["outside"])
    assert [path.name for path in outside.iterdir()] == ["victim"]
    assert (outside / "victim").read_text() == "untouched"
    assert outside.stat().st_mtime_ns == before
    assert (outside / "victim").stat().st_nlink == 1
    remove_tree(tmp_path / "layer")


class TestWhatImagesContain:
    def test_kinds_modes_owners_and_times(self, layer: Path) -> None:
        unpack_to(
            layer,
            tar(
                entry("./", kind=DIRTYPE, mode=0o751, mtime=5),
                entry("bin", kind=DIRTYPE, mode=0o755, mtime=7),
                entry("bin/su", b"#!", mode=0o4755, owner=(0, 12), mtime=1.5),
                entry("bin/sgid", b"", mode=0o2755, owner=(3, 4)),
                entry("tmp", kind=DIRTYPE, mode=0o1777),
                entry("absolute", kind=SYMTYPE, target="/bin/su", owner=(7, 8), mtime=9),
                entry("bin/same", kind=LNKTYPE, target="bin/su"),
                entry("pipe", kind=FIFOTYPE, mode=0o600),
                entry("dev/null", kind=CHRTYPE, device=(1, 3), mode=0o666),
            ),
        )
        su = (layer / "bin/su").stat()
        assert (stat.S_IMODE(su.st_mode), su.st_uid, su.st_gid, su.st_mtime_ns) == (0o4755, 0, 12, 1_500_000_000)
        assert su.st_ino == (layer / "bin/same").stat().st_ino
        assert stat.S_IMODE((layer / "bin/sgid").stat().st_mode) == 0o2755
        assert stat.S_IMODE((layer / "tmp").stat().st_mode) == 0o1777
        assert os.readlink(layer / "absolute") == "/bin/su"
        assert ((layer / "absolute").lstat().st_uid, (layer / "absolute").lstat().st_mtime) == (7, 9)
        assert stat.S_ISFIFO((layer / "pipe").stat().st_mode)
        assert (layer / "dev/null").stat().st_rdev == os.makedev(1, 3)
        assert ((layer / "bin").stat().st_mtime, layer.stat().st_mtime) == (7, 5)
        assert stat.S_IMODE(layer.stat().st_mode) == 0o751

    def test_directories_that_are_not_described_are_told(self, layer: Path) -> None:
        result = unpack_to(layer, tar(entry("a/b/c", b"x"), entry("a", kind=DIRTYPE, mode=0o700)))
        assert result.implicit == ["", "a/b"]
        assert result.size_bytes == 1

    def test_file_capabilities_and_user_xattrs_are_kept(self, layer: Path) -> None:
        capability = "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
        kept = {"SCHILY.xattr.security.capability": capability, "SCHILY.xattr.user.note": "yes"}
        unpack_to(layer, tar(entry("ping", b"x", mode=0o755, owner=(0, 5), pax=kept)))
        assert os.getxattr(layer / "ping", "security.capability") == capability.encode()
        assert os.getxattr(layer / "ping", "user.note") == b"yes"

    def test_long_and_odd_names(self, layer: Path) -> None:
        names = ["n" * 255, "line\nfeed", "käse", "back\\slash", "-rf", "a" * 200 + "/" + "b" * 200, "\udcff\udcfe"]
        for format in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
            unpack_to(layer, tar(*(entry(name, b"x") for name in names), format=format))
            for name in names:
                assert (layer / name).read_bytes() == b"x"
            remove_tree(layer)

    def test_a_later_entry_wins(self, layer: Path) -> None:
        unpack_to(
            layer,
            tar(
                entry("f", b"old", mode=0o777),
                entry("f", b"new", mode=0o600),
                entry("d/x/y", b"gone"),
                entry("d", b"a file now"),
                entry("s", kind=SYMTYPE, target="f"),
                entry("s", b"no link any more"),
                entry("t", b""),
                entry("t", kind=DIRTYPE),
                entry("t/in", b"x"),
                entry("k/keeps", b"x"),
                entry("k", kind=DIRTYPE, mode=0o711),
                entry("h", kind=LNKTYPE, target="f"),
                entry("h", kind=LNKTYPE, target="f"),
            ),
        )
        assert ((layer / "f").read_bytes(), stat.S_IMODE((layer / "f").stat().st_mode)) == (b"new", 0o600)
        assert (layer / "d").read_bytes() == b"a file now"
        assert (layer / "s").read_bytes() == b"no link any more"
        assert (layer / "t/in").exists() and (layer / "k/keeps").exists()
        assert (layer / "h").stat().st_nlink == 2

    def test_links_within_the_layer_are_followed_as_in_a_container(self, layer: Path) -> None:
        unpack_to(
            layer,
            tar(
                entry("usr/lib", kind=DIRTYPE),
                entry("lib", kind=SYMTYPE, target="usr/lib"),
                entry("lib64", kind=SYMTYPE, target="/usr/lib"),
                entry("lib/a.so", b"a"),
                entry("lib64/b.so", b"b"),
                entry("lib/c.so", kind=LNKTYPE, target="lib64/a.so"),
            ),
        )
        assert sorted(path.name for path in (layer / "usr/lib").iterdir()) == ["a.so", "b.so", "c.so"]

    @pytest.mark.parametrize("cut", [1024, 1024 + 512 - 1, 512])
    def test_a_missing_end_is_no_harm(self, layer: Path, cut: int) -> None:
        whole = tar(entry("f", b"x"))
        unpack_to(layer, whole[: len(whole) - cut])
        assert (layer / "f").read_bytes() == b"x"

    def test_an_empty_stream_is_an_empty_layer(self, layer: Path) -> None:
        unpack_to(layer, b"")
        assert list(layer.iterdir()) == []

    @pytest.mark.parametrize("version", ["gnu", "0.0", "0.1", "1.0"])
    def test_holes_stay_holes(self, layer: Path, tmp_path: Path, version: str) -> None:
        source = layer.parent / "outside"
        sparse = layer
        layer.mkdir()
        with (sparse / "sparse").open("wb") as file:
            for block in range(40):
                file.seek(block * 1_000_000)
                file.write(b"%d" % block * 1000)
            file.truncate(50_000_000)
        wanted = (sparse / "sparse").read_bytes()
        kind = ["--format=gnu"] if version == "gnu" else ["--format=posix", f"--sparse-version={version}"]
        made = subprocess.run(
            ["tar", "-C", str(sparse), "-S", *kind, "-c", "sparse"], capture_output=True, check=True, timeout=30
        ).stdout
        assert len(made) < 2_000_000
        remove_tree(layer)
        unpack_to(layer, made)
        assert (layer / "sparse").read_bytes() == wanted
        assert (layer / "sparse").stat().st_blocks * 512 < 2_000_000
        assert source.exists()


class TestWhiteouts:
    def test_they_are_what_overlayfs_wants(self, layer: Path) -> None:
        unpack_to(layer, tar(entry("d/.wh.gone"), entry("o/.wh..wh..opq"), entry("o/new", b"x"), entry(".wh.top")))
        for path in ("d/gone", "top"):
            found = (layer / path).stat()
            assert stat.S_ISCHR(found.st_mode) and found.st_rdev == 0
        assert os.getxattr(layer / "o", "trusted.overlay.opaque") == b"y"
        assert (layer / "o/new").exists()

    @pytest.mark.parametrize("order", [1, -1])
    def test_what_the_layer_itself_has_stays(self, layer: Path, order: int) -> None:
        entries = [entry("d/.wh.f"), entry("d/f", b"x"), entry("d/.wh.sub"), entry("d/sub/g", b"y")]
        unpack_to(layer, tar(entry("d/sub", kind=DIRTYPE), *entries[::order]))
        assert (layer / "d/f").read_bytes() == b"x"
        assert (layer / "d/sub/g").read_bytes() == b"y"
        assert os.getxattr(layer / "d/sub", "trusted.overlay.opaque") == b"y"

    def test_within_an_opaque_directory_they_are_left_out(self, layer: Path) -> None:
        unpack_to(layer, tar(entry("o/.wh.a"), entry("o/sub/.wh.b"), entry("o/.wh..wh..opq"), entry("p/.wh.c")))
        assert not (layer / "o/a").exists() and not (layer / "o/sub/b").exists() and (layer / "p/c").exists()

    def test_a_whiteout_that_a_later_entry_replaces_is_forgotten(self, layer: Path) -> None:
        unpack_to(layer, tar(entry("o/.wh.a"), entry("o/a", b"x"), entry("o/.wh..wh..opq")))
        assert (layer / "o/a").read_bytes() == b"x"

    def test_what_only_aufs_understands_is_left_out(self, layer: Path) -> None:
        unpack_to(
            layer, tar(entry(".wh..wh.plnk", kind=DIRTYPE), entry(".wh..wh.plnk/1.2", b""), entry(".wh..wh.aufs", b""))
        )
        assert list(layer.iterdir()) == []


HARMLESS: dict[str, tuple[list[Entry], list[str]]] = {
    "an absolute name is below the layer": ([entry("/etc/passwd", b"x")], ["etc", "etc/passwd"]),
    "the root as a file": ([entry(".", b"x"), entry("./", b"y")], []),
    "a name of slashes": ([entry("//./a//b", b"x")], ["a", "a/b"]),
    "a disk": ([entry("sda", kind=BLKTYPE, device=(8, 0), mode=0o666)], ["sda"]),
    "memory": ([entry("mem", kind=CHRTYPE, device=(1, 1), mode=0o666)], ["mem"]),
    "a link out, then a file of that name": (
        [entry("l", kind=SYMTYPE, target="../outside/victim"), entry("l", b"x")],
        ["l"],
    ),
    "a link out, then a directory of that name": (
        [entry("l", kind=SYMTYPE, target="../outside"), entry("l/", kind=DIRTYPE, mode=0o700), entry("l/victim", b"x")],
        ["l", "l/victim"],
    ),
    "a link out, below it a file": (
        [entry("outside", kind=DIRTYPE), entry("l", kind=SYMTYPE, target="../../outside"), entry("l/victim", b"x")],
        ["l", "outside", "outside/victim"],
    ),
    "a hard link to a link out, then a file": (
        [
            entry("l", kind=SYMTYPE, target="../outside/victim"),
            entry("h", kind=LNKTYPE, target="l"),
            entry("h", b"x"),
        ],
        ["h", "l"],
    ),
    "a link to itself replaced on the way": (
        [entry("s", kind=SYMTYPE, target="."), entry("s/s", kind=SYMTYPE, target="../outside"), entry("s", b"x")],
        ["s"],
    ),
    "a whiteout of what is outside": (
        [entry("outside", kind=DIRTYPE), entry("l", kind=SYMTYPE, target="/outside"), entry("l/.wh.victim")],
        ["l", "outside", "outside/victim"],
    ),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_made_harmless(layer: Path, name: str) -> None:
    entries, there = HARMLESS[name]
    unpack_to(layer, tar(*entries))
    assert sorted(str(path.relative_to(layer)) for path in layer.rglob("*")) == there
    for path in layer.rglob("*"):
        found = path.lstat()
        assert not stat.S_ISBLK(found.st_mode)
        if stat.S_ISREG(found.st_mode) and path.name in ("sda", "mem"):
            assert stat.S_IMODE(found.st_mode) == 0


def test_xattrs_that_mean_something_to_the_host_are_left_out(layer: Path) -> None:
    names = ("trusted.overlay.redirect", "trusted.overlay.opaque", "user.overlay.opaque", "security.selinux")
    hostile = {f"SCHILY.xattr.{name}": "y" for name in names}
    unpack_to(layer, tar(entry("f", b"x", pax=hostile), entry("d", kind=DIRTYPE, pax=hostile)))
    assert os.listxattr(layer / "f") == os.listxattr(layer / "d") == []


REFUSED: dict[str, list[Entry]] = {
    "..": [entry("../outside/victim", b"x")],
    ".. within": [entry("a/../../outside/victim", b"x")],
    ".. at the end": [entry("a/..", kind=DIRTYPE, mode=0o777)],
    ".. as a whiteout": [entry(".wh...", b"")],
    ". as a whiteout": [entry("a/.wh..", b"")],
    "nothing as a whiteout": [entry(".wh.", b"")],
    ".. in a hard link": [entry("h", kind=LNKTYPE, target="../outside/victim")],
    "a hard link to nothing": [entry("h", kind=LNKTYPE, target="missing")],
    "a hard link to itself": [entry("h", kind=LNKTYPE, target="h")],
    "a hard link to a directory": [entry("d", kind=DIRTYPE), entry("h", kind=LNKTYPE, target="d")],
    "a hard link to the root": [entry("h", kind=LNKTYPE, target="/")],
    "a hard link through a link out": [
        entry("l", kind=SYMTYPE, target="../outside"),
        entry("h", kind=LNKTYPE, target="l/victim"),
    ],
    "a file below a link out": [entry("l", kind=SYMTYPE, target="../outside"), entry("l/victim", b"x")],
    "a file below a link to the host's root": [entry("l", kind=SYMTYPE, target="/etc"), entry("l/passwd", b"x")],
    "a file below /proc's links": [
        entry("l", kind=SYMTYPE, target="/proc/self/root/etc"),
        entry("l/passwd", b"x"),
    ],
    "a file below a file": [entry("f", b"x"), entry("f/below", b"y")],
    "links in a circle": [
        entry("a", kind=SYMTYPE, target="b"),
        entry("b", kind=SYMTYPE, target="a"),
        entry("a/x", b"x"),
    ],
    "a name too long": [entry("n" * 256, b"x")],
    "a path too long": [entry(f"{'p' * 200}/" * 30 + "x", b"x")],
    "a name with a zero byte": [entry("f", b"x", pax={"path": "a\0b"})],
    "an owner that means nobody": [entry("f", b"x", owner=(2**32 - 1, 0))],
    "an owner too large": [entry("f", b"x", pax={"uid": str(2**40)})],
    "a size that is no number": [entry("f", b"x", pax={"size": "1e3"})],
    "a size beyond the end": [entry("f", b"x", pax={"size": str(2**60)})],
    "holes out of order": [entry("f", b"xy", pax={"GNU.sparse.map": "5,1,2,1", "GNU.sparse.size": "10"})],
    "data beyond the file": [entry("f", b"x", pax={"GNU.sparse.map": "9,2", "GNU.sparse.size": "10"})],
    "more data than there is": [entry("f", b"x", pax={"GNU.sparse.map": "0,9", "GNU.sparse.size": "10"})],
    "holes without an end": [entry("f", b"9" * 512, pax={"GNU.sparse.major": "1", "GNU.sparse.realsize": "10"})],
    "a type of its own": [entry("f", b"x", kind=b"Z")],
    "too many": [entry(str(n), b"") for n in range(1_001)],
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(layer: Path, name: str) -> None:
    with pytest.raises(Corrupt):
        unpack_to(layer, tar(*REFUSED[name]))


@pytest.mark.parametrize("name", ["a path too long", "a hard link to nothing"])
def test_a_refusal_says_which_entry_in_a_line(layer: Path, name: str) -> None:
    with pytest.raises(Corrupt) as refused:
        unpack_to(layer, tar(*REFUSED[name]))
    assert len(str(refused.value)) < 300
    assert "Errno" not in str(refused.value)


@pytest.mark.parametrize(
    "blob",
    [
        b"x" * 512,
        tar(entry("f", b"x" * 600), ending=False)[:-600],
        tar(entry("f", b"x"))[:300],
        tar(entry("f" * 300, b""), format=tarfile.GNU_FORMAT)[:1024],
        tar(entry("f" * 300, b""))[:1024],
        b"\0" * 100 + tar(entry("f", b""))[100:],
    ],
    ids=["no tar", "ends in a file", "ends in a header", "ends after a long name", "ends after PAX", "bad checksum"],
)
def test_broken(layer: Path, blob: bytes) -> None:
    with pytest.raises(Corrupt):
        unpack_to(layer, blob)


def test_a_tree_deeper_than_any_path_can_be_removed(layer: Path) -> None:
    """Through a link, a tar can go deeper than PATH_MAX; the recursion of shutil.rmtree would end before."""
    entries = [entry(f"{DEEP}/f", b"x"), entry("s", kind=SYMTYPE, target=DEEP), entry(f"s/{DEEP}/g", b"x")]
    unpack_to(layer, tar(*entries))
    remove_tree(layer)
    assert not layer.exists()


def test_reading_never_asks_for_more_than_a_piece(layer: Path) -> None:
    """A header that claims petabytes must not become an allocation."""
    asked: list[int] = []
    source = io.BytesIO(tar(entry("f", b"x" * 5_000_000)))

    def read(count: int) -> bytes:
        asked.append(count)
        return source.read(count)

    from actors.plugins.image.tar import TarReader

    for _ in TarReader(read):
        pass
    assert max(asked) <= 1 << 20

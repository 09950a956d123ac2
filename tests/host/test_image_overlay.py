"""What a container sees: the layers of images mounted with overlayfs."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from image_server import serve
from image_tars import CHRTYPE, DIRTYPE, SYMTYPE, entry, tar

from actors.plugins.image.config import ImagesConfig
from actors.plugins.image.port import Rootfs
from actors.plugins.image.store import ImageStore

pytestmark = pytest.mark.root


@contextmanager
def mounted(rootfs: Rootfs, tmp: Path) -> Iterator[Path]:
    for name in ("upper", "work", "root"):
        (tmp / name).mkdir()
    options = f"lowerdir={':'.join(rootfs.layers)},upperdir={tmp}/upper,workdir={tmp}/work"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, str(tmp / "root")], check=True, timeout=20)
    try:
        yield tmp / "root"
    finally:
        subprocess.run(["umount", str(tmp / "root")], check=True, timeout=20)


async def rootfs_of(tmp: Path, *layers: bytes) -> Rootfs:
    async with serve() as server:
        store = ImageStore(tmp / "images", ImagesConfig(), lambda: 1)
        image = await store.pull_image(server.add("train", "1", layers))
        return await store.rootfs(image.id, "test")


def tree(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def describe(path: Path) -> tuple[int, int, int]:
    found = path.lstat()
    return stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid


async def test_upper_layers_hide_replace_and_add(tmp_path: Path) -> None:
    base = tar(
        entry("keep", b"1"),
        entry("gone", b"1"),
        entry("dir/gone", b"1"),
        entry("dir/keep", b"1"),
        entry("opaque/old", b"1"),
        entry("changed", b"1"),
        entry("was-dir/x", b"1"),
        entry("was-file", b"1"),
        entry("renewed/old", b"1"),
        entry("ghost", kind=CHRTYPE, device=(0, 0)),
    )
    above = tar(
        entry(".wh.gone"),
        entry("dir/.wh.gone"),
        entry("opaque/.wh..wh..opq"),
        entry("opaque/.wh.old"),
        entry("opaque/new", b"2"),
        entry("changed", b"2"),
        entry("was-dir", b"2"),
        entry("was-file/y", b"2"),
        entry(".wh.renewed"),
        entry("renewed/new", b"2"),
        entry(".wh.was-never-there"),
    )
    with mounted(await rootfs_of(tmp_path, base, above), tmp_path) as root:
        assert tree(root) == [
            "changed",
            "dir",
            "dir/keep",
            "ghost",
            "keep",
            "opaque",
            "opaque/new",
            "renewed",
            "renewed/new",
            "was-dir",
            "was-file",
            "was-file/y",
        ]
        assert (root / "changed").read_bytes() == b"2"


class TestDirectoriesThatALayerDoesNotDescribe:
    BASE = tar(
        entry("./", kind=DIRTYPE, mode=0o711),
        entry("tmp", kind=DIRTYPE, mode=0o1777),
        entry("home/ann", kind=DIRTYPE, mode=0o700, owner=(1000, 1000), pax={"SCHILY.xattr.user.note": "hers"}),
        entry("srv", kind=DIRTYPE, mode=0o750),
        entry("link", kind=SYMTYPE, target="tmp"),
    )

    async def test_look_as_below(self, tmp_path: Path) -> None:
        above = tar(entry("tmp/x", b""), entry("home/ann/.cache/y", b""))
        rootfs = await rootfs_of(tmp_path, self.BASE, above)
        assert len(rootfs.layers) == 3
        with mounted(rootfs, tmp_path) as root:
            assert describe(root / "tmp") == (0o1777, 0, 0)
            assert describe(root / "home") == (0o755, 0, 0)
            assert describe(root / "home/ann") == (0o700, 1000, 1000)
            assert os.getxattr(root / "home/ann", "user.note") == b"hers"
            assert describe(root / "home/ann/.cache") == (0o755, 0, 0)
            assert describe(Path(rootfs.layers[0])) == (0o711, 0, 0)
            assert (root / "tmp/x").exists() and (root / "home/ann/.cache/y").exists()

    async def test_unless_something_hides_what_is_below(self, tmp_path: Path) -> None:
        replaced = tar(entry("./", kind=DIRTYPE), entry(".wh.tmp"), entry("srv", b"a file"), entry("link/z", b""))
        above = tar(entry("./", kind=DIRTYPE), entry("tmp/x", b""), entry("srv/y", b""))
        with mounted(await rootfs_of(tmp_path, self.BASE, replaced, above), tmp_path) as root:
            assert describe(root / "tmp") == (0o755, 0, 0)
            assert describe(root / "srv") == (0o755, 0, 0)
            assert describe(root / "link") == (0o755, 0, 0)

    async def test_are_not_brought_back_when_removed_above(self, tmp_path: Path) -> None:
        middle, above = tar(entry("tmp/x", b"")), tar(entry(".wh.tmp"), entry("home/new", b""))
        with mounted(await rootfs_of(tmp_path, self.BASE, middle, above), tmp_path) as root:
            assert not (root / "tmp").exists()

    async def test_need_no_extra_layer_where_the_default_is_right(self, tmp_path: Path) -> None:
        base = tar(entry("./", kind=DIRTYPE, mode=0o755), entry("etc", kind=DIRTYPE, mode=0o755))
        assert len((await rootfs_of(tmp_path, base, tar(entry("etc/x", b"")))).layers) == 2


async def test_the_host_image_is_the_nodes_root_and_names_what_to_hide(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    config = ImagesConfig(host_image_hides=(str(tmp_path / "keys"), "/not-there"))
    store = ImageStore(tmp_path / "images", config, lambda: 1)
    rootfs = await store.rootfs("host", "test")
    assert rootfs.masked == (str(tmp_path / "images"), str(tmp_path / "keys"))
    with mounted(rootfs, tmp_path) as root:
        assert (root / "etc/passwd").read_bytes() == Path("/etc/passwd").read_bytes()
        (root / "etc/raypod-test").write_text("in the upper layer only")
        assert not Path("/etc/raypod-test").exists()

"""Volumes on a real host: mounts, owners, modes, atomic updates, and what a crash leaves."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.plugins.errors import PluginError
from actors.plugins.storage.local import LocalStorage
from actors.plugins.storage.mounts import mounts_below, unmount_below
from actors.plugins.storage.port import VolumeRequest

pytestmark = pytest.mark.root

Files = dict[str, tuple[bytes, int]]


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "volumes"
    unmount_below(tmp_path)


@pytest.fixture
def storage(root: Path) -> LocalStorage:
    return LocalStorage(root)


def volume(source_type: str, name: str = "data", **fields: Any) -> VolumeRequest:
    return VolumeRequest(pod_uid="pod-1", name=name, source_type=source_type, **fields)


def describe(path: Path | str) -> tuple[int, int]:
    found = os.stat(path)
    return stat.S_IMODE(found.st_mode), found.st_gid


async def published(storage: LocalStorage, request: VolumeRequest) -> Path:
    return Path(await storage.publish_volume(request))


class TestEmptyDir:
    @pytest.mark.parametrize("source", [{}, {"medium": "Memory"}, {"medium": "Memory", "sizeLimit": "8Mi"}])
    async def test_anybody_may_write_and_what_is_written_stays(
        self, storage: LocalStorage, source: dict[str, str]
    ) -> None:
        path = await published(storage, volume("emptyDir", source=source))
        assert describe(path) == (0o777, 0)
        (path / "f").write_text("kept")
        path.chmod(0o700)
        assert await published(LocalStorage(path.parents[1]), volume("emptyDir", source=source)) == path
        assert (path / "f").read_text() == "kept"
        assert describe(path) == (0o700, 0)

    @pytest.mark.parametrize("source", [{}, {"medium": "Memory"}])
    async def test_the_pods_group_owns_it(self, storage: LocalStorage, source: dict[str, str]) -> None:
        path = await published(storage, volume("emptyDir", source=source, fs_group=2000))
        assert describe(path) == (0o2777, 2000)
        (path / "f").touch()
        assert describe(path / "f")[1] == 2000

    async def test_memory_ends_at_the_limit(self, storage: LocalStorage, root: Path) -> None:
        path = await published(storage, volume("emptyDir", source={"medium": "Memory", "sizeLimit": "1Mi"}))
        with pytest.raises(OSError, match="No space"):
            (path / "f").write_bytes(bytes(2_000_000))
        assert mounts_below(root) == [str(path)]

    @pytest.mark.parametrize(
        ("source", "says"),
        [
            ({"medium": "HugePages"}, "HugePages"),
            ({"medium": "Memory", "sizeLimit": "much"}, "sizeLimit"),
            ({"medium": "Memory", "sizeLimit": "-1"}, "negative"),
        ],
    )
    async def test_what_cannot_be(self, storage: LocalStorage, source: dict[str, str], says: str) -> None:
        with pytest.raises(PluginError, match=says) as caught:
            await storage.publish_volume(volume("emptyDir", source=source))
        assert not caught.value.retryable


class TestHostPath:
    async def test_missing_directories_are_made(self, storage: LocalStorage, tmp_path: Path) -> None:
        old = os.umask(0o077)
        try:
            for kind in ("", "DirectoryOrCreate"):
                path = tmp_path / f"made{kind}/below"
                assert await published(storage, volume("hostPath", source={"path": str(path), "type": kind})) == path
                assert (describe(path), describe(path.parent)) == ((0o755, 0), (0o755, 0))
        finally:
            os.umask(old)

    async def test_a_missing_file_is_made_in_a_directory_that_is_there(
        self, storage: LocalStorage, tmp_path: Path
    ) -> None:
        path = tmp_path / "file"
        for _ in range(2):
            await storage.publish_volume(volume("hostPath", source={"path": str(path), "type": "FileOrCreate"}))
            assert (path.read_bytes(), describe(path)) == (b"" if not path.stat().st_size else b"mine", (0o644, 0))
            path.write_bytes(b"mine")
        missing = volume("hostPath", source={"path": str(tmp_path / "no/file"), "type": "FileOrCreate"})
        with pytest.raises(PluginError, match="create it first"):
            await storage.publish_volume(missing)

    async def test_types_are_checked(self, storage: LocalStorage, tmp_path: Path) -> None:
        (tmp_path / "File").touch()
        (tmp_path / "Directory").mkdir()
        os.mknod(tmp_path / "BlockDevice", stat.S_IFBLK, os.makedev(7, 250))
        os.mknod(tmp_path / "CharDevice", stat.S_IFCHR, os.makedev(1, 3))
        kinds = ("File", "Directory", "BlockDevice", "CharDevice", "Socket")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tmp_path / "Socket"))
            for there in kinds:
                for kind in kinds:
                    request = volume("hostPath", source={"path": str(tmp_path / there), "type": kind})
                    if there == kind:
                        await storage.publish_volume(request)
                    else:
                        with pytest.raises(PluginError, match=kind) as caught:
                            await storage.publish_volume(request)
                        assert caught.value.retryable

    async def test_what_is_missing_or_unknown(self, storage: LocalStorage) -> None:
        with pytest.raises(PluginError, match="No such file") as caught:
            await storage.publish_volume(volume("hostPath", source={"path": "/nowhere", "type": "Directory"}))
        assert caught.value.retryable
        with pytest.raises(PluginError, match="type 'Floppy'"):
            await storage.publish_volume(volume("hostPath", source={"path": "/", "type": "Floppy"}))

    async def test_unpublishing_touches_nothing_of_it(self, storage: LocalStorage, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()
        (tmp_path / "data/f").write_text("mine")
        await storage.publish_volume(volume("hostPath", source={"path": str(tmp_path / "data")}))
        await storage.publish_volume(volume("emptyDir", "scratch"))
        await storage.unpublish_volumes("pod-1")
        assert (tmp_path / "data/f").read_text() == "mine"


def tree(path: Path) -> dict[str, bytes]:
    """What a program in the container finds by the names it was promised."""
    names = [entry for entry in path.iterdir() if not entry.name.startswith("..")]
    files = [file for name in names for file in ([name] if name.is_file() else name.rglob("*")) if file.is_file()]
    return {str(file.relative_to(path)): file.read_bytes() for file in files}


class TestWrittenFiles:
    FILES: Files = {"key": (b"1", 0o644), "sub/key": (b"2", 0o400), "sub/run": (b"#!", 0o755)}

    async def test_names_modes_and_links(self, storage: LocalStorage) -> None:
        path = await published(storage, volume("configMap", files=self.FILES))
        assert tree(path) == {"key": b"1", "sub/key": b"2", "sub/run": b"#!"}
        assert [describe(path / name)[0] for name in self.FILES] == [0o644, 0o400, 0o755]
        assert os.readlink(path / "key") == "..data/key"
        assert os.readlink(path / "..data").startswith("..")
        assert describe(path)[0] == 0o755

    async def test_the_pods_group_may_read(self, storage: LocalStorage) -> None:
        path = await published(storage, volume("secret", files=self.FILES, fs_group=2000))
        assert describe(path / "key") == (0o644, 2000)
        assert describe(path / "sub/key") == (0o440, 2000)
        assert describe(path / "sub") == (0o2755, 2000)

    @pytest.mark.parametrize(
        ("kind", "in_memory"), [("configMap", False), ("secret", True), ("projected", True), ("downwardAPI", True)]
    )
    async def test_secrets_never_reach_the_disk(self, storage: LocalStorage, kind: str, in_memory: bool) -> None:
        path = await published(storage, volume(kind, files=self.FILES))
        assert mounts_below(path) == ([str(path)] if in_memory else [])

    async def test_the_same_files_again_touch_nothing(self, storage: LocalStorage) -> None:
        path = await published(storage, volume("configMap", files=self.FILES))
        before = os.readlink(path / "..data")
        await storage.publish_volume(volume("configMap", files=self.FILES))
        assert os.readlink(path / "..data") == before

    @pytest.mark.parametrize(
        "files",
        [
            {"key": (b"changed", 0o644), "new": (b"3", 0o644)},
            {"key": (b"1", 0o600), "sub/key": (b"2", 0o400), "sub/run": (b"#!", 0o755)},
            {"key/below": (b"a directory now", 0o644), "sub": (b"a file now", 0o644)},
            {},
        ],
    )
    async def test_an_update_replaces_all_and_keeps_nothing(self, storage: LocalStorage, files: Files) -> None:
        path = await published(storage, volume("configMap", files=self.FILES))
        await storage.publish_volume(volume("configMap", files=files))
        assert tree(path) == {name: content for name, (content, _) in files.items()}
        assert all(describe(path / name)[0] == mode for name, (_, mode) in files.items())
        links = {entry.name for entry in path.iterdir()}
        assert links == {name.partition("/")[0] for name in files} | {"..data", os.readlink(path / "..data")}

    async def test_a_reader_never_sees_two_versions_mixed(self, storage: LocalStorage) -> None:
        def version(number: int) -> Files:
            return dict.fromkeys(("a", "b", "c/d"), (b"%d" % number, 420))

        path = await published(storage, volume("configMap", files=version(0)))
        seen: list[set[bytes]] = []
        done = threading.Event()

        def read() -> None:
            while not done.is_set():
                try:
                    data = os.open(path / "..data", os.O_RDONLY | os.O_DIRECTORY)
                except FileNotFoundError:  # the link is always there; what it led to may just have been removed
                    if not os.path.lexists(path / "..data"):
                        seen.append({b"no ..data"})
                    continue
                try:
                    names = ("a", "b", "c/d")
                    opened = [os.open(name, os.O_RDONLY, dir_fd=data) for name in names]
                except FileNotFoundError:  # the version was replaced and removed: read the next one
                    continue
                finally:
                    os.close(data)
                seen.append({os.read(fd, 10) for fd in opened})
                for fd in opened:
                    os.close(fd)

        reader = threading.Thread(target=read)
        reader.start()
        try:
            for number in range(1, 150):
                await storage.publish_volume(volume("configMap", files=version(number)))
        finally:
            done.set()
            reader.join()
        assert all(len(contents) == 1 and contents != {b"no ..data"} for contents in seen)
        assert len(set(map(frozenset, seen))) > 5

    async def test_a_secret_too_large_leaves_the_old_version(
        self, storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("actors.plugins.storage.local._FILES_BYTES_MAX", 1 << 20)
        path = await published(storage, volume("secret", files=self.FILES))
        with pytest.raises(PluginError, match="No space"):
            await storage.publish_volume(volume("secret", files={"key": (bytes(2 << 20), 0o644)}))
        assert tree(path)["key"] == b"1"
        await storage.publish_volume(volume("secret", files={"key": (b"2", 0o644)}))
        assert tree(path) == {"key": b"2"}

    async def test_killed_at_any_moment_of_an_update(self, storage: LocalStorage, root: Path) -> None:
        def update_and_kill(delay_ms: int) -> None:
            child = subprocess.Popen([sys.executable, "-c", UPDATE, str(root)], stdout=subprocess.PIPE)
            with child:
                assert child.stdout is not None
                child.stdout.readline()
                time.sleep(delay_ms / 1000)
                child.send_signal(signal.SIGKILL)

        for delay_ms in range(0, 40, 4):
            await asyncio.to_thread(update_and_kill, delay_ms)
            path = root / "pod-1/data"
            assert len(set(tree(path).values())) == 1, "one version, whole"
            await storage.publish_volume(volume("configMap", files=self.FILES))
            assert set(tree(path)) == set(self.FILES)
            assert len([entry for entry in path.iterdir() if entry.name.startswith("..")]) == 2


UPDATE = textwrap.dedent("""
    import asyncio, sys
    from pathlib import Path
    from actors.plugins.storage.local import LocalStorage
    from actors.plugins.storage.port import VolumeRequest
    async def main():
        storage = LocalStorage(Path(sys.argv[1]))
        for number in range(10_000):
            files = {name: (b"%d" % number, 0o644) for name in ("a", "b/c", "b/d")}
            request = VolumeRequest(pod_uid="pod-1", name="data", source_type="configMap", files=files)
            await storage.publish_volume(request)
            if number == 0:
                print("go", flush=True)
    asyncio.run(main())
""")


class TestUnpublish:
    async def test_mounts_and_files_go_and_nothing_they_point_to(
        self, storage: LocalStorage, root: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "outside").mkdir()
        (tmp_path / "outside/f").write_text("mine")
        disk = await published(storage, volume("emptyDir", "disk"))
        (disk / "link").symlink_to(tmp_path / "outside")
        (disk / "a" / "b").mkdir(parents=True)
        (disk / "line\nfeed").touch()
        os.mkfifo(disk / "pipe")
        for name, request in (
            ("memory", volume("emptyDir", "memory", source={"medium": "Memory"})),
            ("secret", volume("secret", "secret", files={"k": (b"v", 0o400)})),
        ):
            assert mounts_below(root) != [] or name == "memory"
            await storage.publish_volume(request)
        assert len(mounts_below(root)) == 2
        await storage.unpublish_volumes("pod-1")
        assert (mounts_below(root), list(root.iterdir())) == ([], [])
        assert (tmp_path / "outside/f").read_text() == "mine"

    async def test_a_volume_still_open_is_no_obstacle(self, storage: LocalStorage, root: Path) -> None:
        path = await published(storage, volume("emptyDir", source={"medium": "Memory"}))
        with (path / "f").open("w"):
            await storage.unpublish_volumes("pod-1")
        assert (mounts_below(root), await storage.published()) == ([], frozenset())

    async def test_a_space_in_the_path_is_found_in_mountinfo(self, tmp_path: Path) -> None:
        storage = LocalStorage(tmp_path / "with space")
        await storage.publish_volume(volume("secret", files={"k": (b"v", 0o400)}))
        assert len(mounts_below(tmp_path)) == 1
        await storage.unpublish_volumes("pod-1")
        assert mounts_below(tmp_path) == []

    async def test_after_a_crash_in_the_middle_it_goes_on(self, storage: LocalStorage, root: Path) -> None:
        await storage.publish_volume(volume("emptyDir", "disk"))
        await storage.publish_volume(volume("secret", "secret", files={"k": (b"v", 0o400)}))
        unmount_below(root / "pod-1")  # as far as the crashed one came
        again = LocalStorage(root)
        assert await again.published() == {"pod-1"}
        await again.unpublish_volumes("pod-1")
        assert await again.published() == frozenset()

    async def test_the_hosts_users_cannot_enter(self, storage: LocalStorage, root: Path) -> None:
        assert stat.S_IMODE(root.stat().st_mode) == 0o700

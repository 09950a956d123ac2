"""The image store over docker-registry: what it fetches, keeps and shares, and what a kill, a cancel or a full disk leave."""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard
from image_server import serve
from registry_fixture import Registry, digest_of, make_layer, running_registry

from actors.plugins.errors import PluginError
from actors.plugins.image.config import ImagesConfig
from actors.plugins.image.port import Auth, Image
from actors.plugins.image.store import ImageStore

pytestmark = pytest.mark.root

NOISE = os.urandom(1 << 20)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with running_registry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


def make_store(root: Path, **config: object) -> ImageStore:
    return ImageStore(root, ImagesConfig(host_image=False, backoff_first_ms=20, **config), lambda: 1)  # type: ignore[arg-type]


async def files_of(store: ImageStore, image: Image) -> dict[str, bytes]:
    """The regular files, upper layers over lower ones."""
    found: dict[str, bytes] = {}
    for layer in reversed((await store.rootfs(image.id, "reader")).layers):
        for path in Path(layer).rglob("*"):
            if path.is_file():
                found[str(path.relative_to(layer))] = path.read_bytes()
    await store.release(image.id, "reader")
    return found


def layers_on_disk(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "layers").iterdir())


def work_in_progress(root: Path) -> list[Path]:
    return [path for path in root.glob("tmp/*/*") if path.name != "lock"]


async def wait_until(happened: Callable[[], bool], timeout_s: float = 10) -> None:
    deadline = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.005)


def blob_requests(registry: Registry, name: str) -> int:
    return len(re.findall(rf'"GET /v2/{name}/blobs/', registry.log.read_text()))


class TestPulling:
    async def test_plain_gzip_and_zstd_layers(self, registry: Registry, tmp_path: Path) -> None:
        tars = [make_layer({name: NOISE[:5000]}) for name in ("plain", "gzip", "zstd", "frames")]
        packer = zstandard.ZstdCompressor()
        frames = packer.compress(tars[3][:3000]) + packer.compress(tars[3][3000:])
        plain = registry.push("kinds:plain", layers=[tars[0]], compress=False)
        image = registry.push("kinds:all", layers=[tars[1], packer.compress(tars[2]), frames])
        store = make_store(tmp_path)
        assert set(await files_of(store, await store.pull_image(plain))) == {"plain"}
        assert set(await files_of(store, await store.pull_image(image))) == {"gzip", "zstd", "frames"}

    async def test_the_variant_for_this_machine_is_chosen(self, registry: Registry, tmp_path: Path) -> None:
        registry.push("many:arm", {"which": b"arm64"}, architecture="arm64")
        registry.push("many:amd", {"which": b"amd64"}, architecture="amd64")
        registry.push("many:s390", {"which": b"s390x"}, architecture="s390x")
        index = registry.push_index(
            "many:1",
            {"linux/s390x": "s390", "unknown/unknown": "s390", "linux/arm64/v8": "arm", "linux/amd64": "amd"},
        )
        store = make_store(tmp_path)
        image = await store.pull_image(index)
        wanted = {"x86_64": b"amd64", "aarch64": b"arm64"}[os.uname().machine]
        assert await files_of(store, image) == {"which": wanted}
        top = digest_of(registry.get_manifest("many", "1")[0])
        assert image.digests == (f"{registry.host_port}/many@{top}",)
        by_digest = await store.pull_image(image.digests[0])
        assert by_digest.id == image.id

    async def test_no_variant_for_this_machine_names_those_there_are(self, registry: Registry, tmp_path: Path) -> None:
        registry.push("few:s390", {"which": b"s390x"}, architecture="s390x")
        index = registry.push_index("few:1", {"linux/s390x": "s390", "unknown/unknown": "s390"})
        with pytest.raises(PluginError, match=r"has no variant for linux/\w+; it has linux/s390x"):
            await make_store(tmp_path).pull_image(index)

    async def test_basic_credentials(self, tmp_path: Path) -> None:
        with running_registry(tmp_path, auth=("ann", "secret")) as closed:
            reference = closed.push("train:1", {"f": b"x"})
            store = make_store(tmp_path / "images")
            for auth in (None, Auth("ann", "wrong")):
                with pytest.raises(PluginError, match="imagePullSecrets"):
                    await store.pull_image(reference, auth)
            assert await files_of(store, await store.pull_image(reference, Auth("ann", "secret"))) == {"f": b"x"}

    async def test_a_layer_is_fetched_once(self, registry: Registry, tmp_path: Path) -> None:
        shared = {"base": NOISE}
        first = registry.push("once:1", shared, layers=[{"one": b"1"}])
        second = registry.push("once:2", shared, layers=[{"two": b"2"}])
        store = make_store(tmp_path)
        await asyncio.gather(*(store.pull_image(name) for name in (first, second, first, second)))
        assert len(layers_on_disk(tmp_path)) == 3
        assert blob_requests(registry, "once") == 2 + 3, "two configs and three layers"
        await store.pull_image(first)
        assert blob_requests(registry, "once") == 2 + 3 + 1, "again, only the config"

    async def test_the_same_layer_twice_in_an_image(self, registry: Registry, tmp_path: Path) -> None:
        store = make_store(tmp_path)
        image = await store.pull_image(registry.push("twice:1", {"a": b"1"}, layers=[{"b": b"2"}, {"a": b"1"}]))
        layers = (await store.rootfs(image.id, "x")).layers
        assert len(layers) == 2 and (Path(layers[0]) / "a").exists()

    async def test_an_image_without_layers(self, registry: Registry, tmp_path: Path) -> None:
        store = make_store(tmp_path)
        image = await store.pull_image(registry.push("empty:1", layers=[]))
        assert (await store.rootfs(image.id, "x")).layers == ()


class TestCorruption:
    @pytest.mark.parametrize("damage", ["flipped", "truncated", "lost", "emptied"])
    async def test_on_the_registrys_disk(self, registry: Registry, tmp_path: Path, damage: str) -> None:
        reference = registry.push(f"{damage}:1", {"f": NOISE + damage.encode()}, layers=[{"ok": b"fine"}])
        (digest,) = re.findall(rb'"(sha256:\w+)", "size": 10\d{5}', registry.get_manifest(damage, "1")[0])
        path = registry.blob_path(digest.decode())
        blob = path.read_bytes()
        if damage == "lost":
            path.unlink()
        else:
            flipped = blob[:5000] + bytes([blob[5000] ^ 1]) + blob[5001:]
            path.write_bytes({"flipped": flipped, "truncated": blob[:-100], "emptied": b""}[damage])
        store = make_store(tmp_path)
        with pytest.raises(PluginError) as caught:
            await store.pull_image(reference)
        assert (caught.value.reason, caught.value.retryable) == ("ErrImagePull", False)
        assert digest.decode() in caught.value.message
        if damage == "flipped":
            assert digest_of(flipped) in caught.value.message
        assert await store.list_images() == []
        assert work_in_progress(tmp_path) == []
        path.write_bytes(blob)
        assert (await files_of(store, await store.pull_image(reference)))["f"] == NOISE + damage.encode()


class TestRestart:
    async def test_a_new_store_finds_everything(self, registry: Registry, tmp_path: Path) -> None:
        store = make_store(tmp_path)
        image = await store.pull_image(registry.push("stays:1", {"f": b"x"}))
        rootfs = await store.rootfs(image.id, "container-1")
        again = make_store(tmp_path)
        assert await again.list_images() == [image]
        assert await again.rootfs(image.id, "container-1") == rootfs
        with pytest.raises(PluginError, match="in use by 1 container"):
            await again.remove_image(image.id)
        await again.release(image.id, "container-1")
        await store.remove_image(image.id)
        assert await again.list_images() == []
        assert layers_on_disk(tmp_path) == []

    async def test_shared_layers_go_with_their_last_image(self, registry: Registry, tmp_path: Path) -> None:
        store = make_store(tmp_path)
        one = await store.pull_image(registry.push("share:1", {"base": b"b"}, layers=[{"one": b"1"}]))
        two = await store.pull_image(registry.push("share:2", {"base": b"b"}, layers=[{"two": b"2"}]))
        await store.remove_image(one.id)
        assert await files_of(store, two) == {"base": b"b", "two": b"2"}
        await store.remove_image(two.tags[0])
        assert layers_on_disk(tmp_path) == []

    async def test_garbage_goes_at_the_start_but_not_what_another_process_works_on(self, tmp_path: Path) -> None:
        store = make_store(tmp_path)
        mine = store._disk.new_temp()
        mine.mkdir()
        dead = tmp_path / "tmp" / "999-dead"
        (dead / "1" / "fs" / "a").mkdir(parents=True)
        (dead / "lock").touch()
        for name, age_s in (("sha256-old", 7200), ("sha256-young", 60)):
            (tmp_path / "layers" / name / "fs").mkdir(parents=True)
            os.utime(tmp_path / "layers" / name, (time.time() - age_s,) * 2)
        make_store(tmp_path)
        await wait_until(lambda: not dead.exists() and layers_on_disk(tmp_path) == ["sha256-young"])
        assert mine.exists()

    async def test_a_damaged_index_is_told_and_nothing_is_removed(self, registry: Registry, tmp_path: Path) -> None:
        image = await make_store(tmp_path).pull_image(registry.push("damaged:1", {"f": b"x"}))
        os.utime(tmp_path / "layers" / layers_on_disk(tmp_path)[0], (0, 0))
        whole = (tmp_path / "index.json").read_bytes()
        (tmp_path / "index.json").write_bytes(whole[:40])
        store = make_store(tmp_path)
        for call in (store.list_images(), store.pull_image("127.0.0.1:1/x"), store.rootfs(image.id, "c")):
            with pytest.raises(PluginError) as caught:
                await call
            assert caught.value.reason in ("ImageStoreDamaged", "RegistryUnavailable")
        (tmp_path / "index.json").write_bytes(whole)
        assert await store.list_images() == [image]
        assert len(layers_on_disk(tmp_path)) == 1

    async def test_killed_at_any_moment_of_a_pull(self, registry: Registry, tmp_path: Path) -> None:
        """kill -9, earlier and later; the next store completes the pull from what is whole and removes the rest."""

        def pull_and_kill(root: Path, delay_ms: int) -> None:
            child = subprocess.Popen([sys.executable, "-c", PULL, str(root), reference], stdout=subprocess.PIPE)
            with child:
                assert child.stdout is not None
                child.stdout.readline()
                time.sleep(delay_ms / 1000)
                child.send_signal(signal.SIGKILL)

        layers = [{f"{n}/{m}": os.urandom(20_000) for m in range(40)} for n in range(6)]
        reference = registry.push("killed:1", layers=layers)
        wanted = {name: content for layer in layers for name, content in layer.items()}
        interrupted = 0
        for delay_ms in (0, 10, 20, 40, 60, 90, 130):
            root = tmp_path / str(delay_ms)
            await asyncio.to_thread(pull_and_kill, root, delay_ms)
            interrupted += bool(work_in_progress(root))
            store = make_store(root)
            for layer in layers_on_disk(root):
                assert (root / "layers" / layer / "layer.json").exists()
            image = await store.pull_image(reference)
            assert await files_of(store, image) == wanted
            await wait_until(lambda root=root: len(list((root / "tmp").iterdir())) == 1)  # type: ignore[misc]
            assert work_in_progress(root) == []
        assert interrupted, "no kill came while a layer was being unpacked: the delays prove nothing"

    async def test_two_processes_pull_and_remove_at_once(self, registry: Registry, tmp_path: Path) -> None:
        references = [registry.push(f"both:{n}", {"base": NOISE}, layers=[{f"{n}": b"x"}]) for n in range(2)]

        async def churn(reference: str) -> None:
            store = make_store(tmp_path)
            for _ in range(8):
                image = await store.pull_image(reference)
                assert (await files_of(store, image))["base"] == NOISE
                await store.remove_image(reference)

        await asyncio.gather(*(churn(reference) for reference in references))
        assert layers_on_disk(tmp_path) == []
        assert await make_store(tmp_path).list_images() == []


PULL = textwrap.dedent("""
    import asyncio, sys
    from pathlib import Path
    from actors.plugins.image.config import ImagesConfig
    from actors.plugins.image.store import ImageStore
    async def main():
        store = ImageStore(Path(sys.argv[1]), ImagesConfig(), lambda: 1)
        print("go", flush=True)
        await store.pull_image(sys.argv[2])
        await asyncio.sleep(30)
    asyncio.run(main())
""")


class TestCancellation:
    async def test_it_leaves_no_thread_and_no_file(self, tmp_path: Path) -> None:
        async with serve() as server:
            reference = server.add("train", "1", [{"f": NOISE * 4}, {"g": NOISE * 4}])
            store = make_store(tmp_path)
            for _ in range(5):
                pull = asyncio.create_task(store.pull_image(reference))
                await wait_until(lambda: bool(work_in_progress(tmp_path)))
                pull.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await pull
                assert work_in_progress(tmp_path) == []
            assert (await files_of(store, await store.pull_image(reference)))["f"] == NOISE * 4

    async def test_one_of_two_waiters_does_not_stop_the_other(self, tmp_path: Path) -> None:
        async with serve() as server:
            store = make_store(tmp_path)
            reference = server.add("train", "1", [{"f": NOISE}])
            first, second = (asyncio.create_task(store.pull_image(reference)) for _ in range(2))
            await asyncio.sleep(0)
            first.cancel()
            assert (await second).tags == (reference,)
            assert first.cancelled()


class TestFullDisk:
    @pytest.fixture
    def small(self, tmp_path: Path) -> Iterator[Path]:
        """A disk of 4 MiB."""
        disk = tmp_path / "disk"
        disk.mkdir()
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.mount(b"tmpfs", os.fsencode(disk), b"tmpfs", 0, b"size=4m") == 0
        try:
            yield disk
        finally:
            assert libc.umount2(os.fsencode(disk), 2) == 0

    @pytest.mark.parametrize(
        ("content", "when"),
        [(bytes(32 << 20), "while it is unpacked"), (os.urandom(6 << 20), "before it is fetched")],
        ids=["well compressed", "not compressible"],
    )
    async def test_it_says_how_much_is_needed(self, registry: Registry, small: Path, content: bytes, when: str) -> None:
        store = make_store(small)
        fits = await store.pull_image(registry.push("small:1", {"f": b"x"}))
        with pytest.raises(PluginError) as caught:
            await store.pull_image(registry.push("large:1", {"f": content}))
        assert (caught.value.reason, caught.value.retryable) == ("ErrImagePull", True), when
        numbers = [int(found.replace(",", "")) for found in re.findall(r"\d[\d,]*,\d{3}", caught.value.message)]
        assert len(numbers) == 2 and numbers[0] >= len(content) > numbers[1], caught.value.message
        assert "raypod image rm" in caught.value.message
        assert work_in_progress(small) == []
        assert await store.list_images() == [fits]
        assert await files_of(store, fits) == {"f": b"x"}


async def test_nobody_else_can_enter_the_store(registry: Registry, tmp_path: Path) -> None:
    """Images hold set-user-id programs, which must be out of reach of the host's users."""
    await make_store(tmp_path / "images").pull_image(registry.push("mode:1", {"su": (b"x", 0o4755)}))
    assert (tmp_path / "images").stat().st_mode & 0o077 == 0

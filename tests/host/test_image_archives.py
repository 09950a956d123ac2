"""Archives as skopeo and umoci write them (OCI, docker save), compressed, incomplete and hostile."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from image_tars import LNKTYPE, SYMTYPE, Entry, entry, tar
from registry_fixture import Registry, digest_of, make_layer, running_registry

from actors.plugins.errors import PluginError
from actors.plugins.image.config import ImagesConfig
from actors.plugins.image.port import Progress
from actors.plugins.image.store import ImageStore

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with running_registry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "images", ImagesConfig(host_image=False), lambda: 1)


def call(*command: str) -> None:
    subprocess.run(command, check=True, timeout=60, capture_output=True)


def copy(source: str, target: str) -> None:
    call("skopeo", "copy", "-q", "--src-tls-verify=false", f"docker://{source}", target)


async def read(store: ImageStore, image_id: str, path: str) -> bytes:
    layers = (await store.rootfs(image_id, "test")).layers
    return next((Path(layer) / path).read_bytes() for layer in layers if (Path(layer) / path).exists())


class TestAsToolsWriteThem:
    @pytest.mark.parametrize(
        ("kind", "name", "tag"),
        [
            ("oci-archive", "train.tar:127.0.0.1:5000/train:1", "127.0.0.1:5000/train:1"),
            ("oci-archive", "train.tar:v2", "docker.io/library/train:v2"),
            ("oci-archive", "train.tar", ""),
            ("oci", "train:v3", "docker.io/library/train:v3"),
            ("docker-archive", "train.tar:ann/train:1", "docker.io/ann/train:1"),
            ("docker-archive", "train.tar", ""),
        ],
    )
    async def test_skopeo(
        self, registry: Registry, store: ImageStore, tmp_path: Path, kind: str, name: str, tag: str
    ) -> None:
        pushed = registry.push("train:1", {"a": b"1"}, layers=[{"b": b"2"}], cmd=["a"])
        copy(pushed, f"{kind}:{tmp_path}/{name}")
        told: list[Progress] = []
        (image,) = await store.load_image(str(tmp_path / name.partition(":")[0]), told.append)
        assert image.tags == ((tag,) if tag else ())
        assert image.config.cmd == ("a",)
        assert (await read(store, image.id, "a"), await read(store, image.id, "b")) == (b"1", b"2")
        assert told[-1].phase == "done" and told[-1].layers_done == 2
        pulled = await store.pull_image(pushed)
        assert pulled.id == image.id, "the same image, however it came"

    @pytest.mark.parametrize("tool", ["gzip", "zstd"])
    async def test_compressed_as_a_whole(
        self, registry: Registry, store: ImageStore, tmp_path: Path, tool: str
    ) -> None:
        copy(registry.push("train:1", {"a": b"1"}), f"docker-archive:{tmp_path}/train.tar:train:1")
        call(tool, "-q", str(tmp_path / "train.tar"))
        (packed,) = tmp_path.glob("train.tar.*")
        (image,) = await store.load_image(str(packed))
        assert await read(store, image.id, "a") == b"1"

    async def test_umoci(self, store: ImageStore, tmp_path: Path) -> None:
        layout, bundle = tmp_path / "model", tmp_path / "bundle"
        call("umoci", "init", "--layout", str(layout))
        call("umoci", "new", "--image", f"{layout}:1")
        call("umoci", "unpack", "--image", f"{layout}:1", str(bundle))
        (bundle / "rootfs/weights").write_bytes(b"0.5")
        call("umoci", "repack", "--image", f"{layout}:1", str(bundle))
        (image,) = await store.load_image(str(layout))
        assert image.tags == ("docker.io/library/model:1",)
        assert await read(store, image.id, "weights") == b"0.5"

    async def test_several_images_that_share_a_layer(self, store: ImageStore, tmp_path: Path) -> None:
        """Old `docker save` writes the layer once and links to it."""
        layer = make_layer({"a": b"1"})
        configs = [_config([layer], cmd) for cmd in ("one", "two")]
        manifest = [{"Config": f"{n}.json", "RepoTags": [f"train:{n}"], "Layers": [f"{n}/layer.tar"]} for n in range(2)]
        blob = tar(
            entry("0.json", configs[0]),
            entry("1.json", configs[1]),
            entry("0/layer.tar", layer),
            entry("1/layer.tar", kind=SYMTYPE, target="../0/layer.tar"),
            entry("manifest.json", json.dumps(manifest).encode()),
        )
        (tmp_path / "both.tar").write_bytes(blob)
        images = await store.load_image(str(tmp_path / "both.tar"))
        assert [image.id for image in images] == [digest_of(config) for config in configs]
        assert await store.image_status("train:1") == images[1]
        assert len(list((tmp_path / "images/layers").iterdir())) == 1


def _config(layers: list[bytes], cmd: str = "") -> bytes:
    diff_ids = [digest_of(layer) for layer in layers]
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    body = {"os": "linux", "architecture": machine, "config": {"Cmd": [cmd]}, "rootfs": {"diff_ids": diff_ids}}
    return json.dumps(body).encode()


LAYER = make_layer({"a": b"1"})


def docker_archive(layer: Entry, config: bytes = b"", **manifest: object) -> bytes:
    body = [{"Config": "c.json", "RepoTags": ["train:1"], "Layers": ["layer.tar"], **manifest}]
    return tar(entry("c.json", config or _config([LAYER])), layer, entry("manifest.json", json.dumps(body).encode()))


BAD: dict[str, tuple[bytes, str]] = {
    "no tar": (b"hello" * 1000, "is no image archive"),
    "empty": (b"", "neither index.json"),
    "another tar": (tar(entry("f", b"x")), "neither index.json"),
    "broken gzip": (gzip.compress(bytes(100_000))[:50], "no image archive"),
    "a layer that is not there": (docker_archive(entry("other", b"")), "layer.tar"),
    "a config that is not there": (docker_archive(entry("layer.tar", LAYER), Config="nope.json"), "nope.json"),
    "a layer that was changed": (docker_archive(entry("layer.tar", make_layer({"a": b"2"}))), digest_of(LAYER)),
    "a layer that is a link out": (
        docker_archive(entry("layer.tar", kind=SYMTYPE, target="../../../../../etc/passwd")),
        "layer.tar",
    ),
    "links in a circle": (docker_archive(entry("layer.tar", kind=LNKTYPE, target="layer.tar")), "layer.tar"),
    "names that are none": (docker_archive(entry("layer.tar", LAYER), RepoTags=["../../x"]), "image reference"),
    "a manifest of the wrong shape": (tar(entry("manifest.json", b'{"Config": 3}')), "malformed"),
    "an index of the wrong shape": (tar(entry("index.json", b'{"manifests": 3}')), "malformed"),
    "an index that is an image": (
        tar(entry("index.json", b'{"config":{"digest":"sha256:%s","size":1},"layers":[]}' % (b"0" * 64))),
        "no index",
    ),
    "a manifest that was changed": (
        tar(
            entry(
                "index.json",
                b'{"schemaVersion":2,"manifests":[{"digest":"sha256:%s","size":1,"platform":{"os":"linux",'
                b'"architecture":"amd64"}}]}' % (b"0" * 64),
            ),
            entry("blobs/sha256/" + "0" * 64, b"{}"),
        ),
        "corrupt archive",
    ),
}


@pytest.mark.parametrize("name", BAD)
async def test_bad_archives(store: ImageStore, tmp_path: Path, name: str) -> None:
    blob, says = BAD[name]
    (tmp_path / "bad.tar").write_bytes(blob)
    with pytest.raises(PluginError) as caught:
        await store.load_image(str(tmp_path / "bad.tar"))
    assert says in caught.value.message
    assert (caught.value.verb, caught.value.retryable) == ("load_image", False)
    assert await store.list_images() == []
    assert not [path for path in (tmp_path / "images").glob("tmp/*/*") if path.name != "lock"]


async def test_a_link_out_of_a_layout_directory(store: ImageStore, tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    layout.mkdir()
    (tmp_path / "elsewhere.json").write_text('{"schemaVersion":2,"manifests":[]}')
    (layout / "index.json").symlink_to("../elsewhere.json")
    with pytest.raises(PluginError, match="neither index"):
        await store.load_image(str(layout))


async def test_cancelled_it_leaves_nothing(store: ImageStore, tmp_path: Path) -> None:
    layer = make_layer({str(n): os.urandom(200_000) for n in range(50)})
    (tmp_path / "big.tar").write_bytes(docker_archive(entry("layer.tar", layer), _config([layer])))
    load = asyncio.create_task(store.load_image(str(tmp_path / "big.tar")))
    for _ in range(2000):
        await asyncio.sleep(0.001)
        if list((tmp_path / "images").glob("tmp/*/*/fs/*")):
            break
    load.cancel()
    with pytest.raises(asyncio.CancelledError):
        await load
    assert not [path for path in (tmp_path / "images").glob("tmp/*/*") if path.name != "lock"]
    assert len(await store.load_image(str(tmp_path / "big.tar"))) == 1

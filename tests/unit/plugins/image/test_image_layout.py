"""Which images an archive holds, from its documents alone."""

from __future__ import annotations

import json
import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from actors.plugins.image.archive import open_archive
from actors.plugins.image.faults import Corrupt, NotPullable
from actors.plugins.image.layer import Blob
from actors.plugins.image.layout import ArchivedImage, list_images
from actors.plugins.image.manifest import node_platforms

LAYERS = ["sha256:" + f"{n:064x}" for n in range(3)]
AMD64 = {"os": "linux", "architecture": "amd64"}


def digest(body: bytes) -> str:
    return "sha256:" + sha256(body).hexdigest()


class Layout(dict[str, bytes]):
    """An OCI layout that is built up document by document."""

    def blob(self, document: Any) -> dict[str, Any]:
        body = json.dumps(document).encode()
        self["blobs/" + digest(body).replace(":", "/")] = body
        return {"digest": digest(body), "size": len(body)}

    def image(self, cmd: str = "") -> dict[str, Any]:
        config = self.blob({**AMD64, "config": {"Cmd": [cmd]}, "rootfs": {"diff_ids": LAYERS[:1]}})
        return self.blob({"schemaVersion": 2, "config": config, "layers": [{"digest": LAYERS[1], "size": 7}]})

    def index(self, *members: dict[str, Any]) -> None:
        self["index.json"] = json.dumps({"schemaVersion": 2, "manifests": members}).encode()

    def images(self) -> list[ArchivedImage]:
        return list_images(self.__getitem__, node_platforms("x86_64"), "train")


def named(member: dict[str, Any], name: str, key: str = "org.opencontainers.image.ref.name") -> dict[str, Any]:
    return {**member, "annotations": {key: name}}


def test_an_oci_layout() -> None:
    layout = Layout()
    manifest = layout.image()
    layout.index(named(manifest, "127.0.0.1:5000/train:1"))
    (image,) = layout.images()
    assert [str(reference) for reference in image.references] == ["127.0.0.1:5000/train:1"]
    assert image.digest == manifest["digest"]
    (layer,) = image.layers
    assert (layer.path, layer.blob) == ("blobs/sha256/" + LAYERS[1][7:], Blob(LAYERS[0], LAYERS[1], 7))


@pytest.mark.parametrize(
    ("name", "key", "wanted"),
    [
        ("latest", "org.opencontainers.image.ref.name", ["docker.io/library/train:latest"]),
        ("docker.io/ann/x:1", "io.containerd.image.name", ["docker.io/ann/x:1"]),
        ("Not A Name:", "org.opencontainers.image.ref.name", []),
        ("", "org.opencontainers.image.ref.name", []),
        ("x", "some.other.annotation", []),
    ],
)
def test_names(name: str, key: str, wanted: list[str]) -> None:
    layout = Layout()
    layout.index(named(layout.image(), name, key))
    assert [str(reference) for reference in layout.images()[0].references] == wanted


def test_two_names_of_one_image() -> None:
    layout = Layout()
    layout.index(named(layout.image(), "a:1"), named(layout.image(), "b:1"), named(layout.image("other"), "c:1"))
    assert [[reference.path for reference in image.references] for image in layout.images()] == [
        ["library/a", "library/b"],
        ["library/c"],
    ]


def test_an_index_below_the_index() -> None:
    layout = Layout()
    arm = {**layout.image("arm"), "platform": {"os": "linux", "architecture": "arm64"}}
    amd = {**layout.image("amd"), "platform": AMD64}
    inner = layout.blob({"schemaVersion": 2, "manifests": [arm, amd]})
    layout.index(named(inner, "many:1"))
    (image,) = layout.images()
    assert (image.document.config.cmd, image.digest) == (("amd",), inner["digest"])


def docker(layout: Layout, **fields: Any) -> None:
    config = json.dumps({**AMD64, "rootfs": {"diff_ids": LAYERS[:2]}}).encode()
    layout["c.json"] = config
    entry = {"Config": "c.json", "RepoTags": ["train:1", "ann/train:2"], "Layers": ["a/layer.tar", "b/layer.tar"]}
    layout["manifest.json"] = json.dumps([entry | fields]).encode()


def test_docker_save() -> None:
    layout = Layout()
    docker(layout)
    (image,) = layout.images()
    assert image.id == digest(layout["c.json"])
    assert [str(reference) for reference in image.references] == ["docker.io/library/train:1", "docker.io/ann/train:2"]
    assert [(layer.path, layer.blob) for layer in image.layers] == [
        ("a/layer.tar", Blob(LAYERS[0])),
        ("b/layer.tar", Blob(LAYERS[1])),
    ]


def test_docker_save_without_names() -> None:
    layout = Layout()
    docker(layout, RepoTags=None)
    assert layout.images()[0].references == ()


@pytest.mark.parametrize("fields", [{"Layers": ["a"]}, {"Layers": None}, {"Config": "missing"}, {"Config": 3}])
def test_docker_save_that_is_inconsistent(fields: dict[str, Any]) -> None:
    layout = Layout()
    docker(layout, **fields)
    with pytest.raises(Corrupt):
        layout.images()


def test_a_document_that_was_changed() -> None:
    layout = Layout()
    manifest = layout.image()
    layout.index(manifest)
    layout["blobs/" + manifest["digest"].replace(":", "/")] += b" "
    with pytest.raises(Corrupt, match=manifest["digest"]):
        layout.images()


def test_a_document_that_is_missing() -> None:
    layout = Layout()
    layout.index({"digest": LAYERS[0], "size": 1})
    with pytest.raises(Corrupt, match=LAYERS[0][7:]):
        layout.images()


def test_neither() -> None:
    with pytest.raises(NotPullable, match="no image archive"):
        Layout().images()


def test_a_pipe_or_a_device_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(NotPullable, match="neither a file nor a directory"):
            open_archive(path, tmp_path / "spool")

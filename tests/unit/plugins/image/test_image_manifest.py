"""Indexes, manifests and configs as registries send them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from actors.plugins.image.faults import Corrupt, NotPullable
from actors.plugins.image.manifest import (
    Descriptor,
    Index,
    Manifest,
    Platform,
    check_platform,
    node_platforms,
    parse_config,
    parse_document,
    select_platform,
)
from actors.plugins.image.port import ImageConfig

DIGESTS = ["sha256:" + f"{n:064x}" for n in range(9)]


def body(**fields: Any) -> bytes:
    return json.dumps({"schemaVersion": 2, **fields}).encode()


def descriptor(number: int, platform: str = "") -> Descriptor:
    return Descriptor(DIGESTS[number], 1, platform=Platform(*platform.split("/")) if platform else None)


def test_a_manifest_of_docker_and_of_oci() -> None:
    for media_type in (
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    ):
        layers = [{"digest": DIGESTS[1], "size": 5, "mediaType": "x", "urls": ["http://elsewhere"]}]
        parsed = parse_document(body(mediaType=media_type, config={"digest": DIGESTS[0], "size": 3}, layers=layers))
        assert isinstance(parsed, Manifest)
        assert (parsed.config.digest, parsed.layers[0].size) == (DIGESTS[0], 5)


def test_an_index() -> None:
    member = {"digest": DIGESTS[0], "size": 3, "platform": {"os": "linux", "architecture": "arm64", "os.version": "9"}}
    parsed = parse_document(body(manifests=[member]))
    assert isinstance(parsed, Index)
    assert str(parsed.manifests[0].platform) == "linux/arm64"


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"null",
        b"{",
        body(),
        body(manifests={}),
        body(manifests=[{"digest": "sha256:x", "size": 1}]),
        body(config={"digest": DIGESTS[0], "size": 1}),
        body(config={"digest": DIGESTS[0], "size": "1"}, layers=[]),
        body(config={"digest": DIGESTS[0], "size": -1}, layers=[]),
        body(config={"digest": DIGESTS[0], "size": 1}, layers=[], manifests=[]),
    ],
)
def test_what_is_neither_is_corrupt(document: bytes) -> None:
    with pytest.raises(Corrupt, match="push the image again"):
        parse_document(document)


def test_schema_1_is_named() -> None:
    with pytest.raises(NotPullable, match="schema 1"):
        parse_document(b'{"schemaVersion": 1, "fsLayers": []}')


@pytest.mark.parametrize(
    ("machine", "there", "chosen"),
    [
        ("x86_64", ["linux/arm64", "linux/amd64", "windows/amd64"], 1),
        ("x86_64", ["windows/amd64", "linux/amd64/v1"], 1),
        ("x86_64", ["linux/amd64", "linux/amd64"], 0),
        ("aarch64", ["linux/arm", "linux/arm64"], 1),
        ("aarch64", ["linux/arm64/v8"], 0),
        ("armv7l", ["linux/arm/v6", "linux/arm/v7"], 1),
        ("armv7l", ["linux/arm/v6"], 0),
        ("armv6l", ["linux/arm/v7", "linux/arm/v6"], 1),
        ("x86_64", [""], 0),
    ],
)
def test_the_variant_for_a_machine(machine: str, there: list[str], chosen: int) -> None:
    members = [descriptor(number, platform) for number, platform in enumerate(there)]
    assert select_platform(members, node_platforms(machine)).digest == DIGESTS[chosen]


@pytest.mark.parametrize("there", [[], ["linux/arm64", "unknown/unknown"], ["", ""], ["linux/amd64/v3"]])
def test_no_variant_says_which_there_are(there: list[str]) -> None:
    members = [descriptor(number, platform) for number, platform in enumerate(there)]
    with pytest.raises(NotPullable, match="no variant for linux/amd64") as caught:
        select_platform(members, node_platforms("x86_64"))
    assert "unknown" not in str(caught.value)


def test_a_single_manifest_must_be_for_this_machine_where_it_says_for_which() -> None:
    wanted = node_platforms("x86_64")
    check_platform(Platform("linux", "amd64"), wanted)
    check_platform(Platform("linux", "amd64", "v2"), wanted)
    check_platform(Platform(), wanted)
    for other in (Platform("linux", "arm64"), Platform("windows", "amd64")):
        with pytest.raises(NotPullable, match=f"is for {other}"):
            check_platform(other, wanted)


def test_a_config_says_how_to_run() -> None:
    config = {"Entrypoint": ["a"], "Cmd": None, "Env": ["K=V"], "WorkingDir": "/w", "User": "1:2", "StopSignal": "INT"}
    parsed = parse_config(json.dumps({"config": config, "rootfs": {"diff_ids": DIGESTS[:2]}}).encode(), 2)
    assert parsed.config == ImageConfig(
        entrypoint=("a",), env=("K=V",), working_dir="/w", user="1:2", stop_signal="INT"
    )
    assert parsed.diff_ids == tuple(DIGESTS[:2])
    assert parse_config(b"{}", 0).config == ImageConfig()


@pytest.mark.parametrize(
    ("document", "layers"),
    [
        ({"rootfs": {"diff_ids": DIGESTS[:1]}}, 2),
        ({"rootfs": {"diff_ids": ["sha256:../../x"]}}, 1),
        ({"rootfs": None}, 0),
        ({"config": {"Cmd": "not a list"}}, 0),
        ({"config": {"Env": [1]}}, 0),
    ],
)
def test_a_config_that_cannot_be(document: Any, layers: int) -> None:
    with pytest.raises(Corrupt):
        parse_config(json.dumps(document).encode(), layers)

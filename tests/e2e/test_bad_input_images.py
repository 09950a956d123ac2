"""Images that cannot be had: each says why, the run waits, and the pods of other images go on."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from registry import Registry, free_port, host_programs
from whole_cluster import WholeCluster, wait_for

pytestmark = [pytest.mark.root, pytest.mark.timeout(150)]


def why(whole: WholeCluster, image: str) -> str:
    """What a run of the image is told to wait for; its pod's events must say it, too."""
    run = whole.cluster.run(image=image, command=["true"])
    try:
        told = wait_for("a reason", lambda: run.status.message)
        assert run.status.phase == "Pending"
        pod = whole.pods(f"raypod.io/run={run.name}")[0]
        events = wait_for("events", lambda: [e for e in whole.events(pod["metadata"]["name"]) if "Failed" in e])
        assert any(image in event for event in events), events
        return told
    finally:
        run.delete()
        run.wait_deleted(30)


def refused(whole: WholeCluster, reference: str) -> str:
    return whole.raypod("image", "pull", reference).complaint


def test_an_image_that_the_registry_does_not_have(whole: WholeCluster, images: Registry) -> None:
    reference = f"{images.host_port}/no/such:image"
    assert f"{images.host_port} has no" in refused(whole, reference) or "not found" in refused(whole, reference)
    assert "no/such" in why(whole, reference)


@pytest.mark.parametrize(
    ("host", "reason"),
    [("no-such-registry.invalid", "name or service not known"), ("127.0.0.1:{port}", "connection refused")],
)
def test_a_registry_that_does_not_answer(whole: WholeCluster, host: str, reason: str) -> None:
    host = host.format(port=free_port())
    told = refused(whole, f"{host}/train:1")
    assert told == f"whole: {host} cannot be reached: {reason}"
    assert told.removeprefix("whole: ") in why(whole, f"{host}/train:1")


def test_a_layer_that_was_changed_in_the_registry(whole: WholeCluster, images: Registry) -> None:
    reference = images.push("corrupt", files=host_programs("true"))
    layer = json.loads(images.get_manifest("corrupt", "latest")[0])["layers"][0]["digest"]
    blob = images.blob_path(layer)
    content = bytearray(blob.read_bytes())
    content[len(content) // 2] ^= 0xFF
    blob.write_bytes(content)
    assert layer[:19] in refused(whole, reference)
    assert layer[:19] in why(whole, reference)
    assert reference not in whole.raypod("image", "ls").out


def test_an_image_of_another_machine(whole: WholeCluster, images: Registry) -> None:
    images.push("foreign", files={"etc/x": b"x"}, architecture="s390x")
    assert "s390x" in refused(whole, images.push_index("foreign:both", {"linux/s390x": "latest"}))


def test_a_registry_with_a_password(whole: WholeCluster, tmp_path: Path) -> None:
    from registry import start_registry

    with start_registry(tmp_path, auth=("me", "secret")) as guarded:
        reference = guarded.push("private", files=host_programs("true"))
        assert "does not let us read private" in refused(whole, reference)
        assert whole.raypod("image", "pull", reference, "--username", "me", "--password", "no").code == 1
        said = whole.raypod("image", "pull", reference, "--username", "me", env={"RAYPOD_REGISTRY_PASSWORD": "secret"})
        assert said.code == 0, said


@pytest.mark.parametrize(
    "content", [b"", b"hello" * 1000, bytes(10_000), b"\x1f\x8b" + bytes(50)], ids=["empty", "text", "zeros", "gzip"]
)
def test_a_file_that_is_no_archive(whole: WholeCluster, tmp_path: Path, content: bytes) -> None:
    archive = tmp_path / "image.tar"
    archive.write_bytes(content)
    assert "image archive" in whole.raypod("image", "load", str(archive)).complaint


def test_an_archive_that_is_not_there(whole: WholeCluster, tmp_path: Path) -> None:
    told = whole.raypod("image", "load", "nowhere.tar", cwd=tmp_path).complaint
    assert told == f"whole: {tmp_path}/nowhere.tar cannot be read: No such file or directory"


@pytest.fixture
def full_disk(whole: WholeCluster) -> Iterator[None]:
    """The node's images on 8 MiB of memory."""
    folder = whole.node_root / "images"
    for part in ("tmp", "layers"):
        (folder / part).mkdir(exist_ok=True)
    place = folder / "tmp"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", str(place)], check=True, timeout=20)
    yield
    subprocess.run(["umount", "-l", str(place)], check=True, timeout=20)


def test_a_disk_that_is_full(whole: WholeCluster, images: Registry, full_disk: None) -> None:
    noise = bytes((i * 7919 + (i >> 8) * 31) % 251 for i in range(1 << 20)) * 24
    reference = images.push("large", files={"noise": noise}, compress=False)
    told = refused(whole, reference)
    assert told.startswith("whole: the disk is full: unpacking layer sha256:")
    assert told.endswith("free space or remove images with `raypod image rm`")
    assert "the disk is full" in why(whole, reference)


def test_after_all_that_an_image_can_be_pulled(whole: WholeCluster, images: Registry) -> None:
    reference = images.push("good", files=host_programs("echo"))
    assert whole.raypod("run", reference, "--", "echo", "fine").out == "fine\n"
    assert whole.cluster.status()["healthy"]

"""What every implementation of the image port must do. Subclass it; the fixtures `images` and `publish` say over what."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from actors.plugins.errors import PluginError
from actors.plugins.image.port import HOST_IMAGE, ImageConfig, ImagePort, Progress

#: Puts an image into the registry under a name and answers its reference.
Publish = Callable[[str, ImageConfig], str]

TRAIN = ImageConfig(entrypoint=("python",), cmd=("train.py",), env=("EPOCHS=3",), working_dir="/work", user="1000")


async def failure_of(call: object) -> PluginError:
    with pytest.raises(PluginError) as caught:
        await call  # type: ignore[misc]
    assert caught.value.port == "image"
    assert caught.value.message
    return caught.value


class ImageSuite:
    """`images`: an empty port whose host image is on. `publish`: its registry."""

    async def test_a_pulled_image_is_there_under_tag_digest_and_id(self, images: ImagePort, publish: Publish) -> None:
        reference = publish("train:1", TRAIN)
        pulled = await images.pull_image(reference)
        assert pulled.id.startswith("sha256:")
        assert pulled.config == TRAIN
        assert pulled.tags == (reference,)
        assert pulled.digests[0].startswith(reference.rpartition(":")[0] + "@sha256:")
        assert pulled.size_bytes > 0
        for name in (reference, pulled.id, pulled.digests[0]):
            assert await images.image_status(name) == pulled
        assert pulled in await images.list_images()

    async def test_what_is_not_here_has_no_status(self, images: ImagePort, publish: Publish) -> None:
        reference = publish("train:1", TRAIN)
        assert await images.image_status(reference) is None
        assert await images.image_status("sha256:" + "0" * 64) is None

    async def test_the_default_tag_is_latest(self, images: ImagePort, publish: Publish) -> None:
        reference = publish("train", TRAIN)
        repository = reference.removesuffix(":latest")
        pulled = await images.pull_image(repository)
        assert pulled.tags == (f"{repository}:latest",)
        assert await images.image_status(repository) == pulled

    async def test_pulls_at_once_share_one_result(self, images: ImagePort, publish: Publish) -> None:
        reference = publish("train:1", TRAIN)
        pulled = await asyncio.gather(*(images.pull_image(reference) for _ in range(8)))
        assert {image.id for image in pulled} == {pulled[0].id}
        assert len([image for image in await images.list_images() if image.id != HOST_IMAGE]) == 1

    async def test_a_tag_that_moves_leaves_the_old_image(self, images: ImagePort, publish: Publish) -> None:
        reference = publish("train:1", TRAIN)
        old = await images.pull_image(reference)
        publish("train:1", ImageConfig(cmd=("other",)))
        new = await images.pull_image(reference)
        assert new.id != old.id
        assert await images.image_status(reference) == new
        left = await images.image_status(old.id)
        assert left is not None and left.tags == ()

    async def test_progress_begins_with_resolving_and_ends_with_done(self, images: ImagePort, publish: Publish) -> None:
        told: list[Progress] = []
        await images.pull_image(publish("train:1", TRAIN), progress=told.append)
        assert told[0].phase == "resolving"
        assert told[-1].phase == "done"
        assert told[-1].layers_done == told[-1].layers_total > 0
        assert told[-1].bytes_done == told[-1].bytes_total > 0

    async def test_an_unknown_image_names_registry_and_tag(self, images: ImagePort, publish: Publish) -> None:
        reference = publish("train:1", TRAIN)
        error = await failure_of(images.pull_image(reference.replace("train:1", "nothing:7")))
        assert (error.verb, error.reason, error.retryable) == ("pull_image", "ErrImagePull", False)
        assert "nothing:7" in error.message and reference.partition("/")[0] in error.message

    @pytest.mark.parametrize("bad", ["", "UPPER", "a:b:c", "train@sha256:12", "../x", "a b", "-", "x:" + "t" * 129])
    async def test_a_name_that_is_no_reference(self, images: ImagePort, bad: str) -> None:
        error = await failure_of(images.pull_image(bad))
        assert (error.reason, error.retryable) == ("InvalidImageName", False)
        assert (await failure_of(images.image_status(bad))).reason == "InvalidImageName"

    async def test_removing_the_last_tag_removes_the_image(self, images: ImagePort, publish: Publish) -> None:
        reference = publish("train:1", TRAIN)
        pulled = await images.pull_image(reference)
        for _ in range(2):
            await images.remove_image(reference)
            assert await images.image_status(pulled.id) is None

    async def test_removing_an_id_removes_all_its_tags(self, images: ImagePort, publish: Publish) -> None:
        pulled = await images.pull_image(publish("train:1", TRAIN))
        await images.remove_image(pulled.id)
        assert await images.image_status(pulled.tags[0]) is None

    async def test_a_held_image_cannot_be_removed(self, images: ImagePort, publish: Publish) -> None:
        reference = publish("train:1", TRAIN)
        pulled = await images.pull_image(reference)
        rootfs = await images.rootfs(pulled.id, "container-1")
        assert rootfs.layers
        assert await images.rootfs(pulled.id, "container-1") == rootfs
        await images.rootfs(pulled.id, "container-2")
        assert (await failure_of(images.remove_image(reference))).reason == "ImageInUse"
        assert await images.image_status(reference) == pulled
        for _ in range(2):
            await images.release(pulled.id, "container-1")
        assert (await failure_of(images.remove_image(reference))).reason == "ImageInUse"
        await images.release(pulled.id, "container-2")
        await images.remove_image(reference)
        assert await images.image_status(pulled.id) is None

    async def test_no_root_file_system_of_what_is_not_here(self, images: ImagePort) -> None:
        error = await failure_of(images.rootfs("sha256:" + "0" * 64, "container-1"))
        assert (error.reason, error.retryable) == ("ImageNotFound", False)
        await images.release("sha256:" + "0" * 64, "container-1")

    async def test_an_archive_that_is_not_there(self, images: ImagePort) -> None:
        error = await failure_of(images.load_image("/nowhere/image.tar"))
        assert (error.verb, error.retryable) == ("load_image", False)
        assert "/nowhere/image.tar" in error.message

    async def test_the_host_image_is_always_here(self, images: ImagePort) -> None:
        host = await images.pull_image(HOST_IMAGE)
        assert host.id == HOST_IMAGE
        assert await images.image_status(HOST_IMAGE) == host
        assert host in await images.list_images()
        rootfs = await images.rootfs(HOST_IMAGE, "container-1")
        assert rootfs.layers[-1] == "/"
        await images.release(HOST_IMAGE, "container-1")
        await failure_of(images.remove_image(HOST_IMAGE))

    async def test_the_host_image_switched_off_says_so(self, images_without_host: ImagePort) -> None:
        for call in (images_without_host.pull_image(HOST_IMAGE), images_without_host.rootfs(HOST_IMAGE, "c")):
            error = await failure_of(call)
            assert "images.host_image" in error.message and not error.retryable
        assert await images_without_host.image_status(HOST_IMAGE) is None
        assert await images_without_host.list_images() == []

"""The fake images against the image port's suite, and the failures that only a fake can play."""

from __future__ import annotations

import pytest
from image_suite import TRAIN, ImageSuite, Publish, failure_of

from actors.plugins.errors import PluginError
from actors.plugins.image.fake import FakeImages
from actors.plugins.image.port import ImageConfig, ImagePort


class TestFakeImages(ImageSuite):
    @pytest.fixture
    def images(self) -> ImagePort:
        return FakeImages()

    @pytest.fixture
    def images_without_host(self) -> ImagePort:
        return FakeImages(host_image=False)

    @pytest.fixture
    def publish(self, images: FakeImages) -> Publish:
        def publish(name: str, config: ImageConfig) -> str:
            reference = f"127.0.0.1:5000/{name if ':' in name else name + ':latest'}"
            images.publish(reference, config)
            return reference

        return publish


async def test_a_fault_is_raised_until_it_is_taken_away() -> None:
    images = FakeImages()
    images.publish("127.0.0.1:5000/train:1", TRAIN)
    images.faults["127.0.0.1:5000/train:1"] = PluginError("image", "pull_image", "RegistryUnavailable", "away")
    assert (await failure_of(images.pull_image("127.0.0.1:5000/train:1"))).retryable
    images.faults.clear()
    await images.pull_image("127.0.0.1:5000/train:1")
    assert images.pulls == {"127.0.0.1:5000/train:1": 1}

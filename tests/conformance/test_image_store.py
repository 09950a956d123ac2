"""ImageStore against the image port's suite, over Debian's docker-registry on loopback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from image_suite import ImageSuite, Publish

from actors.plugins.image.config import ImagesConfig
from actors.plugins.image.port import ImageConfig, ImagePort
from actors.plugins.image.store import ImageStore

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from registry import Registry, running_registry

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with running_registry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


class TestImageStore(ImageSuite):
    @pytest.fixture
    def images(self, tmp_path: Path) -> ImagePort:
        return ImageStore(tmp_path / "images", ImagesConfig(), lambda: 1_000)

    @pytest.fixture
    def images_without_host(self, tmp_path: Path) -> ImagePort:
        return ImageStore(tmp_path / "images", ImagesConfig(host_image=False), lambda: 1_000)

    @pytest.fixture
    def publish(self, registry: Registry) -> Publish:
        def publish(name: str, config: ImageConfig) -> str:
            return registry.push(
                name,
                {"app/train.py": b"print('hello')", "app/data": bytes(100_000)},
                layers=[{"app/more": b"more"}],
                entrypoint=config.entrypoint,
                cmd=config.cmd,
                env=dict(variable.split("=", 1) for variable in config.env) or None,
                working_dir=config.working_dir,
                user=config.user,
            )

        return publish

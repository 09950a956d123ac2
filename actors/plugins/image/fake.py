"""ImagePort in memory for the simulator and for tests: its registry is a dict. Passes the port's conformance suite."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

import msgspec

from actors.api.clock import Millis
from actors.plugins.errors import PluginError
from actors.plugins.image import host
from actors.plugins.image.faults import InUse, InvalidName, NotPresent, NotPullable, as_plugin_error
from actors.plugins.image.port import HOST_IMAGE, Auth, Image, ImageConfig, Progress, ProgressSink, Rootfs
from actors.plugins.image.reference import is_digest, parse_reference


class FakeImages:
    """`publish` puts an image into the fake registry; `pulls` counts the fetches by tag; `faults` makes them fail."""

    def __init__(self, clock: Callable[[], Millis] = lambda: 0, host_image: bool = True) -> None:
        self._clock, self._host_image = clock, host_image
        self._registry: dict[str, ImageConfig] = {}
        self._images: dict[str, Image] = {}
        self._holders: dict[str, set[str]] = {}
        self.pulls: dict[str, int] = {}
        self.faults: dict[str, PluginError] = {}

    def publish(self, reference: str, config: ImageConfig = ImageConfig()) -> str:
        """The image's id: the same for the same tag and config."""
        name = parse_reference(reference).tagged
        self._registry[name] = config
        return _id(name, config)

    async def pull_image(self, reference: str, auth: Auth | None = None, progress: ProgressSink | None = None) -> Image:
        with as_plugin_error("pull_image"):
            if reference == HOST_IMAGE:
                host.check_allowed(self._host_image)
                return host.IMAGE
            wanted = parse_reference(reference)
            if (fault := self.faults.get(wanted.tagged)) is not None:
                raise fault
            if wanted.tagged not in self._registry:
                raise NotPullable(f"the registry {wanted.host} has no {wanted}: check the name and the tag")
            self.pulls[wanted.tagged] = self.pulls.get(wanted.tagged, 0) + 1
            return self._add(wanted.tagged, wanted.repository, progress)

    def _add(self, name: str, repository: str, progress: ProgressSink | None) -> Image:
        config = self._registry[name]
        image_id = _id(name, config)
        for key, other in self._images.items():
            if name in other.tags and key != image_id:
                tags = tuple(tag for tag in other.tags if tag != name)
                self._images[key] = msgspec.structs.replace(other, tags=tags)
        image = Image(
            id=image_id,
            tags=(name,),
            digests=(f"{repository}@{image_id}",),
            size_bytes=1,
            config=config,
            pulled_at_ms=self._clock(),
        )
        self._images[image_id] = image
        for phase in ("resolving", "pulling", "unpacking", "done"):
            if progress is not None:
                progress(Progress(phase, 1, int(phase in ("unpacking", "done")), 1, int(phase == "done")))
        return image

    async def image_status(self, reference: str) -> Image | None:
        with as_plugin_error("image_status"):
            if reference == HOST_IMAGE:
                return host.IMAGE if self._host_image else None
            return self._find(reference)

    async def list_images(self) -> list[Image]:
        images = [image for _, image in sorted(self._images.items())]
        return [host.IMAGE, *images] if self._host_image else images

    async def remove_image(self, reference: str) -> None:
        with as_plugin_error("remove_image"):
            if reference == HOST_IMAGE:
                raise InvalidName("the image `host` is the node itself; switch it off with images.host_image: false")
            image = self._find(reference)
            if image is None:
                return
            tags = (
                () if is_digest(reference) else tuple(t for t in image.tags if t != parse_reference(reference).tagged)
            )
            if tags:
                self._images[image.id] = msgspec.structs.replace(image, tags=tags)
            elif self._holders.get(image.id):
                raise InUse(f"image {image.id} is in use by {len(self._holders[image.id])} container(s)")
            else:
                del self._images[image.id]

    async def load_image(self, path: str, progress: ProgressSink | None = None) -> list[Image]:
        """A fake archive is a published tag."""
        with as_plugin_error("load_image"):
            if path not in self._registry:
                raise NotPullable(f"{path} cannot be read: there is no such archive")
            return [self._add(path, parse_reference(path).repository, progress)]

    async def rootfs(self, image_id: str, holder: str) -> Rootfs:
        with as_plugin_error("rootfs"):
            if image_id == HOST_IMAGE:
                host.check_allowed(self._host_image)
                return Rootfs(("/",))
            image = self._find(image_id)
            if image is None:
                raise NotPresent(f"image {image_id} is not on this node: pull it first")
            self._holders.setdefault(image.id, set()).add(holder)
            return Rootfs((f"/fake/{image.id}",))

    async def release(self, image_id: str, holder: str) -> None:
        image = self._find(image_id) if image_id != HOST_IMAGE else None
        if image is not None:
            self._holders.get(image.id, set()).discard(holder)

    def _find(self, reference: str) -> Image | None:
        if is_digest(reference):
            return self._images.get(reference)
        wanted = parse_reference(reference)
        name = f"{wanted.repository}@{wanted.digest}" if wanted.digest else wanted.tagged
        return next((image for image in self._images.values() if name in image.tags + image.digests), None)


def _id(name: str, config: ImageConfig) -> str:
    return "sha256:" + sha256(msgspec.json.encode((name, config))).hexdigest()

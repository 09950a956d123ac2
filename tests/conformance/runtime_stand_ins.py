"""What the runtime's tests put on the other side of its ports: images that are plain directories, and no network."""

from __future__ import annotations

from actors.plugins.image.port import Auth, Image, ImageConfig, ProgressSink, Rootfs
from actors.plugins.network.port import Attachment, NetworkResult


class StaticImages:
    """ImagePort over directories: id -> (config, layers, the topmost first)."""

    def __init__(self, images: dict[str, tuple[ImageConfig, tuple[str, ...]]]) -> None:
        self.images = images
        self.held: set[tuple[str, str]] = set()

    async def pull_image(self, reference: str, auth: Auth | None = None, progress: ProgressSink | None = None) -> Image:
        return Image(id=reference, config=self.images[reference][0])

    async def image_status(self, reference: str) -> Image | None:
        known = self.images.get(reference)
        return Image(id=reference, config=known[0]) if known else None

    async def list_images(self) -> list[Image]:
        return [Image(id=name, config=config) for name, (config, _) in sorted(self.images.items())]

    async def remove_image(self, reference: str) -> None:
        self.images.pop(reference, None)

    async def load_image(self, path: str, progress: ProgressSink | None = None) -> list[Image]:
        return []

    async def rootfs(self, image_id: str, holder: str) -> Rootfs:
        self.held.add((image_id, holder))
        return Rootfs(layers=self.images[image_id][1])

    async def release(self, image_id: str, holder: str) -> None:
        self.held.discard((image_id, holder))


class CountingNetwork:
    """NetworkPort that gives each sandbox an address and no interface; `attached` says who has one."""

    def __init__(self) -> None:
        self.attached: dict[str, NetworkResult] = {}
        self.given = 0

    async def setup(self, pod_cidr: str) -> None:
        pass

    async def add(self, attachment: Attachment) -> NetworkResult:
        if attachment.sandbox_id not in self.attached:
            self.given += 1
            self.attached[attachment.sandbox_id] = NetworkResult(ips=(f"10.191.0.{self.given + 1}",))
        return self.attached[attachment.sandbox_id]

    async def delete(self, attachment: Attachment) -> None:
        self.attached.pop(attachment.sandbox_id, None)

    async def collect(self, sandbox_ids: frozenset[str]) -> None:
        self.attached = {name: result for name, result in self.attached.items() if name in sandbox_ids}

    async def peers(self, peers: object) -> None:
        pass

    async def teardown(self) -> None:
        self.attached.clear()

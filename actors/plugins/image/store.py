"""The node's image store: CRI's ImageService over a registry client, archives and a directory of unpacked layers.

Everything it knows is on disk, so a new store over the same directory (after a kill, or in another process beside this
one) finds it all. The nodelet owns one; `host` is an image without layers of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec

from actors.api.clock import Millis
from actors.plugins.image import host
from actors.plugins.image.cache import LayerCache, in_thread
from actors.plugins.image.config import ImagesConfig
from actors.plugins.image.disk import Disk, LayersGone, Record, layer_name
from actors.plugins.image.faults import ImageFault, InvalidName, NotPresent, as_plugin_error
from actors.plugins.image.layer import Layer
from actors.plugins.image.load import Loader
from actors.plugins.image.manifest import ImageDocument, node_platforms
from actors.plugins.image.meter import Meter
from actors.plugins.image.parents import Stacked, parents_name, plan_parents, write_parents
from actors.plugins.image.port import HOST_IMAGE, Auth, Image, ProgressSink, Rootfs
from actors.plugins.image.pull import Puller
from actors.plugins.image.reference import Reference, is_digest, parse_reference


class _Pull(msgspec.Struct):
    """A pull that is under way and how many wait for it."""

    task: asyncio.Task[Image]
    meter: Meter
    waiters: int = 0


class ImageStore:
    """ImagePort over the directory `root`. Used from one event loop."""

    def __init__(self, root: Path, config: ImagesConfig, clock: Callable[[], Millis]) -> None:
        self._config, self._clock = config, clock
        self._disk = Disk(root)
        self._pulls: dict[tuple[str, Auth | None], _Pull] = {}
        self._layers = LayerCache(self._disk)
        threading.Thread(target=self._sweep, name="raypod-image-sweep", daemon=True).start()

    def _sweep(self) -> None:
        """What cannot be removed now is garbage still at the next start."""
        with contextlib.suppress(OSError, ImageFault):
            self._disk.sweep()

    async def pull_image(self, reference: str, auth: Auth | None = None, progress: ProgressSink | None = None) -> Image:
        with as_plugin_error("pull_image"):
            if reference == HOST_IMAGE:
                host.check_allowed(self._config.host_image)
                return host.IMAGE
            return await self._shared_pull(parse_reference(reference), auth, progress)

    async def _shared_pull(self, reference: Reference, auth: Auth | None, progress: ProgressSink | None) -> Image:
        """Join the pull of the same reference with the same credentials, or start it. The last waiter can cancel it."""
        key = (str(reference), auth)
        pull = self._pulls.get(key)
        if pull is None:
            meter = Meter()
            pull = self._pulls[key] = _Pull(asyncio.create_task(self._pull(reference, auth, meter)), meter)
            pull.task.add_done_callback(lambda task: self._forget(key, task))
        pull.waiters += 1
        pull.meter.join(progress)
        try:
            return await asyncio.shield(pull.task)
        except asyncio.CancelledError:
            if pull.waiters == 1 and not pull.task.done():
                self._pulls.pop(key, None)
                pull.task.cancel()
                await asyncio.wait([pull.task])
            raise
        finally:
            pull.waiters -= 1
            pull.meter.leave(progress)

    def _forget(self, key: tuple[str, Auth | None], task: asyncio.Task[Image]) -> None:
        if key in self._pulls and self._pulls[key].task is task:
            del self._pulls[key]
        if not task.cancelled():
            task.exception()  # the waiters have seen it, unless all of them were cancelled

    async def _pull(self, reference: Reference, auth: Auth | None, meter: Meter) -> Image:
        async def fetch() -> list[Record]:
            resolved = await Puller(self._layers, self._config, meter).run(reference, auth, node_platforms())
            return [_record(resolved.id, resolved.document, [reference], resolved.digest)]

        return (await self._commit_all(fetch, meter))[0]

    async def load_image(self, path: str, progress: ProgressSink | None = None) -> list[Image]:
        with as_plugin_error("load_image"):
            meter = Meter()
            meter.join(progress)

            async def fetch() -> list[Record]:
                loader = Loader(self._layers, self._config, meter)
                images = await loader.run(Path(path), self._disk.new_temp(), node_platforms())
                return [_record(image.id, image.document, image.references, image.digest) for image in images]

            return await self._commit_all(fetch, meter)

    async def _commit_all(self, fetch: Callable[[], Awaitable[list[Record]]], meter: Meter) -> list[Image]:
        """Put what was fetched into the index; fetch again when layers were removed in between."""
        for last in (False, False, True):
            records = await fetch()
            meter.enter("unpacking")
            try:
                images = [await self._commit(record) for record in records]
            except LayersGone:
                if last:
                    raise
            else:
                break
        meter.enter("done")
        return images

    async def _commit(self, record: Record) -> Image:
        layers = [(name, layer) for name in record.layers if (layer := self._disk.layer(name)) is not None]
        record = msgspec.structs.replace(
            record,
            layers=(*record.layers, *await self._parents(layers)),
            size_bytes=sum(layer.size_bytes for _, layer in layers),
            pulled_at_ms=self._clock(),
        )
        return (await asyncio.to_thread(self._disk.commit_image, record)).to_image()

    async def _parents(self, layers: Sequence[tuple[str, Layer]]) -> tuple[str, ...]:
        """The extra layer for directories that a layer uses without describing them, where the image needs one."""
        stacked = [Stacked(self._disk.files_path(name), frozenset(layer.implicit)) for name, layer in reversed(layers)]
        plan = await asyncio.to_thread(plan_parents, stacked)
        if not plan:
            return ()
        parents = parents_name([name for name, _ in layers])
        await self._layers.ensure(parents, lambda into: in_thread(write_parents, into, parents, plan))
        return (layer_name(parents),)

    async def image_status(self, reference: str) -> Image | None:
        with as_plugin_error("image_status"):
            if reference == HOST_IMAGE:
                return host.IMAGE if self._config.host_image else None
            record, _ = self._find(reference)
            return record.to_image() if record else None

    async def list_images(self) -> list[Image]:
        with as_plugin_error("list_images"):
            images = [record.to_image() for _, record in sorted(self._disk.index().images.items())]
            return [host.IMAGE, *images] if self._config.host_image else images

    async def remove_image(self, reference: str) -> None:
        with as_plugin_error("remove_image"):
            if reference == HOST_IMAGE:
                raise InvalidName("the image `host` is the node itself; switch it off with images.host_image: false")
            record, name = self._find(reference)
            if record is not None:
                await asyncio.to_thread(self._disk.remove_name, record.id, name)

    async def rootfs(self, image_id: str, holder: str) -> Rootfs:
        with as_plugin_error("rootfs"):
            if image_id == HOST_IMAGE:
                host.check_allowed(self._config.host_image)
                return host.make_rootfs((str(self._disk.root), *self._config.host_image_hides))
            record, _ = self._find(image_id)
            held = record and await asyncio.to_thread(self._disk.hold, record.id, holder)
            if not held:
                raise NotPresent(f"image {image_id} is not on this node: pull it first")
            return Rootfs(tuple(str(self._disk.files_path(name)) for name in reversed(held.layers)))

    async def release(self, image_id: str, holder: str) -> None:
        with as_plugin_error("release"):
            if image_id != HOST_IMAGE:
                record, _ = self._find(image_id)
                await asyncio.to_thread(self._disk.release, record.id if record else image_id, holder)

    def _find(self, reference: str) -> tuple[Record | None, str]:
        """The image of an id, a digest reference or a tag, and under which of its names it was found."""
        images = self._disk.index().images
        image_id = f"sha256:{reference}" if is_digest(f"sha256:{reference}") else reference
        if is_digest(image_id):
            return images.get(image_id), image_id
        wanted = parse_reference(reference)
        name = f"{wanted.repository}@{wanted.digest}" if wanted.digest else wanted.tagged
        found = (record for record in images.values() if name in record.tags or name in record.digests)
        return next(found, None), name


def _record(image_id: str, document: ImageDocument, references: Sequence[Reference], digest: str) -> Record:
    return Record(
        id=image_id,
        layers=stack(document.diff_ids),
        tags=tuple(reference.tagged for reference in references if reference.tagged),
        digests=tuple(f"{reference.repository}@{digest}" for reference in references if digest),
        config=document.config,
    )


def stack(diff_ids: Sequence[str]) -> tuple[str, ...]:
    """Names of the layers, the lowest first. Of a layer that comes twice only the upper shows, and overlayfs takes
    no directory twice."""
    return tuple(reversed(dict.fromkeys(layer_name(diff_id) for diff_id in reversed(diff_ids))))

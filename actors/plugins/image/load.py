"""Load the images of an archive: list them, then unpack the layers that are not here, one after the other."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from actors.plugins.image.archive import Archive, open_archive, read_document
from actors.plugins.image.cache import LayerCache, in_thread
from actors.plugins.image.config import ImagesConfig
from actors.plugins.image.faults import Corrupt
from actors.plugins.image.inflate import Read
from actors.plugins.image.layer import unpack_layer
from actors.plugins.image.layout import ArchivedImage, Member, list_images
from actors.plugins.image.manifest import Platform
from actors.plugins.image.meter import Meter
from actors.plugins.image.pipe import Closed


class Loader:
    """Loads one archive. `run` is called once."""

    def __init__(self, layers: LayerCache, config: ImagesConfig, meter: Meter) -> None:
        self._layers, self._config, self._meter = layers, config, meter
        self._stopping = threading.Event()

    async def run(self, path: Path, spool: Path, platforms: Sequence[Platform]) -> list[ArchivedImage]:
        """Everything the images need is on disk when this returns. Raises ImageFault, OSError."""
        archive = await in_thread(open_archive, path, spool)
        try:
            stem = path.name.partition(".")[0].lower()
            images = await in_thread(list_images, lambda name: read_document(archive, name), platforms, stem)
            await self._unpack(archive, images)
            return images
        finally:
            archive.close()

    async def _unpack(self, archive: Archive, images: Sequence[ArchivedImage]) -> None:
        wanted = {member.blob.diff_id: member for image in images for member in image.layers}
        missing = [member for diff_id, member in wanted.items() if not self._layers.has(diff_id)]
        sizes = sum(_size(archive, member) for member in missing)
        self._meter.begin("pulling", len(wanted), len(wanted) - len(missing), sizes)
        self._layers.check_room(sizes)
        for member in missing:
            await self._layers.ensure(member.blob.diff_id, partial(self._unpack_layer, archive, member))
            self._meter.add_layer()

    async def _unpack_layer(self, archive: Archive, member: Member, into: Path) -> None:
        """In a thread, which a cancellation stops at its next read."""
        read = self._metered(archive.open(member.path))
        unpacking = asyncio.create_task(in_thread(unpack_layer, read, member.blob, into, self._config))
        try:
            await asyncio.shield(unpacking)
        except asyncio.CancelledError:
            self._stopping.set()
            await asyncio.gather(unpacking, return_exceptions=True)
            raise

    def _metered(self, read: Read) -> Read:
        loop = asyncio.get_running_loop()

        def metered(count: int) -> bytes:
            if self._stopping.is_set():
                raise Closed
            chunk = read(count)
            loop.call_soon_threadsafe(self._meter.add_bytes, len(chunk))
            return chunk

        return metered


def _size(archive: Archive, member: Member) -> int:
    try:
        return archive.size(member.path)
    except KeyError as error:
        raise Corrupt(f"the archive has no file {member.path}, which a manifest names: save the image again") from error

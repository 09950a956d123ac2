"""One pull: resolve the reference to a manifest and a config, then fetch and unpack the layers that are not here.

Blobs stream from the network through memory into the layer's directory; three layers at a time. Stopping it at any
point (error, cancellation, kill) leaves whole layers and garbage that the store removes, never half a layer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, aclosing
from pathlib import Path

import msgspec

from actors.plugins.image.config import ImagesConfig
from actors.plugins.image.disk import Disk, layer_name
from actors.plugins.image.faults import Corrupt, NoSpace, NotPullable
from actors.plugins.image.layer import Blob, unpack_layer
from actors.plugins.image.manifest import (
    Descriptor,
    ImageDocument,
    Manifest,
    Platform,
    check_platform,
    parse_config,
    parse_document,
    select_platform,
)
from actors.plugins.image.meter import Meter
from actors.plugins.image.pipe import Closed, Pipe
from actors.plugins.image.port import Auth
from actors.plugins.image.reference import Reference
from actors.plugins.image.registry import Registry
from actors.plugins.image.transport import Transport
from actors.plugins.image.tree import free_bytes, remove_tree

_INDEX_DEPTH_MAX = 3

#: The lock of a layer: two images that share it fetch it once.
LayerLock = Callable[[str], AbstractAsyncContextManager[None]]


class Resolved(msgspec.Struct, frozen=True):
    """What a reference means now. `digest` is the top document's: the index's where there is one."""

    id: str
    digest: str
    layers: tuple[Descriptor, ...]
    document: ImageDocument


async def resolve(registry: Registry, version: str, platforms: Sequence[Platform], layers_max: int) -> Resolved:
    """Ask the registry for the manifest for this platform and its config. Raises ImageFault."""
    body, top = await registry.manifest(version)
    document = parse_document(body)
    for _ in range(_INDEX_DEPTH_MAX):
        if isinstance(document, Manifest):
            return await _resolve_manifest(registry, document, top, platforms, layers_max)
        body, _digest = await registry.manifest(select_platform(document.manifests, platforms).digest)
        document = parse_document(body)
    raise Corrupt("the image's index is nested too deep: push it again")


async def _resolve_manifest(
    registry: Registry, manifest: Manifest, digest: str, platforms: Sequence[Platform], layers_max: int
) -> Resolved:
    if len(manifest.layers) > layers_max:
        raise NotPullable(f"the image has {len(manifest.layers)} layers, more than the {layers_max} that are allowed")
    document = parse_config(await registry.document(manifest.config), len(manifest.layers))
    check_platform(document.platform, platforms)
    return Resolved(manifest.config.digest, digest, manifest.layers, document)


class Puller:
    """Fetches the layers of one image. `run` is called once."""

    def __init__(self, disk: Disk, config: ImagesConfig, meter: Meter, layer_lock: LayerLock) -> None:
        self._disk, self._config, self._meter, self._layer_lock = disk, config, meter, layer_lock
        self._slots = asyncio.Semaphore(config.layers_concurrent)
        self._pool = ThreadPoolExecutor(2 * config.layers_concurrent, thread_name_prefix="raypod-layer")

    async def run(self, reference: Reference, auth: Auth | None, platforms: Sequence[Platform]) -> Resolved:
        """Everything the image needs is on disk when this returns. Raises ImageFault, OSError."""
        try:
            async with Transport(self._config) as transport:
                registry = Registry(reference, transport, self._config, auth)
                resolved = await resolve(registry, reference.version, platforms, self._config.layers_max)
                await self._fetch_layers(registry, resolved)
                return resolved
        finally:
            self._pool.shutdown(wait=False)

    async def _fetch_layers(self, registry: Registry, resolved: Resolved) -> None:
        wanted = dict(zip(resolved.document.diff_ids, resolved.layers, strict=True))
        missing = {diff_id: d for diff_id, d in wanted.items() if self._disk.layer(layer_name(diff_id)) is None}
        bytes_total = sum(descriptor.size for descriptor in missing.values())
        self._meter.begin("pulling", len(wanted), len(wanted) - len(missing), bytes_total)
        self._check_room(bytes_total)
        try:
            async with asyncio.TaskGroup() as group:
                for diff_id, descriptor in missing.items():
                    group.create_task(self._ensure(registry, diff_id, descriptor))
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None

    def _check_room(self, bytes_total: int) -> None:
        free = free_bytes(self._disk.root)
        if bytes_total > free:
            raise NoSpace(
                f"the disk is full: the image needs at least {bytes_total:,} bytes and {self._disk.root} has"
                f" {free:,} left; free space or remove images with `raypod image rm`"
            )

    async def _ensure(self, registry: Registry, diff_id: str, descriptor: Descriptor) -> None:
        name = layer_name(diff_id)
        async with self._slots, self._layer_lock(name):
            if self._disk.layer(name) is None:
                await self._fetch(registry, Blob(diff_id, descriptor.digest, descriptor.size), descriptor)
        self._meter.add_layer()

    async def _fetch(self, registry: Registry, blob: Blob, descriptor: Descriptor) -> None:
        temp, loop = self._disk.new_temp(), asyncio.get_running_loop()
        try:
            await self._stream(registry, blob, descriptor, temp)
            await settled(loop.run_in_executor(self._pool, self._disk.commit_layer, temp, layer_name(blob.diff_id)))
        finally:
            if temp.exists():
                await settled(loop.run_in_executor(None, remove_tree, temp))

    async def _stream(self, registry: Registry, blob: Blob, descriptor: Descriptor, temp: Path) -> None:
        """The event loop writes what arrives into a pipe, a thread unpacks from it; both end before this does."""
        loop, raw = asyncio.get_running_loop(), Pipe()
        unpacking = loop.run_in_executor(self._pool, _unpack, raw, blob, temp, self._config)
        try:
            async with aclosing(registry.blob(descriptor)) as chunks:
                async for chunk in chunks:
                    self._meter.add_bytes(len(chunk))
                    if not raw.try_write(chunk):
                        await loop.run_in_executor(self._pool, raw.write, chunk)
            raw.end()
        except Closed:
            pass  # the unpacking has failed: it says why
        except BaseException:
            raw.end(Closed())
            await asyncio.gather(settled(unpacking), return_exceptions=True)
            raise
        await settled(unpacking)


def _unpack(raw: Pipe, blob: Blob, temp: Path, config: ImagesConfig) -> None:
    try:
        unpack_layer(raw.read, blob, temp, config)
    finally:
        raw.abandon()


async def settled(future: asyncio.Future[None]) -> None:
    """Wait for a thread even when cancelled meanwhile: nobody may clean up under it."""
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    future.result()

"""One pull: resolve the reference to a manifest and a config, then fetch and unpack the layers that are not here.

Blobs stream from the network through memory into the layer's directory; three layers at a time. Stopping it at any
point (error, cancellation, kill) leaves whole layers and garbage that the store removes, never half a layer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path

import msgspec

from actors.plugins.image.cache import LayerCache, settled
from actors.plugins.image.config import ImagesConfig
from actors.plugins.image.faults import Corrupt, NotPullable
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

_INDEX_DEPTH_MAX = 3


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
    """Fetches one image. `run` is called once."""

    def __init__(self, layers: LayerCache, config: ImagesConfig, meter: Meter) -> None:
        self._layers, self._config, self._meter = layers, config, meter
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
        missing = {diff_id: layer for diff_id, layer in wanted.items() if not self._layers.has(diff_id)}
        bytes_total = sum(descriptor.size for descriptor in missing.values())
        self._meter.begin("pulling", len(wanted), len(wanted) - len(missing), bytes_total)
        self._layers.check_room(bytes_total)
        try:
            async with asyncio.TaskGroup() as group:
                for diff_id, descriptor in missing.items():
                    group.create_task(self._fetch(registry, diff_id, descriptor))
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _fetch(self, registry: Registry, diff_id: str, descriptor: Descriptor) -> None:
        async with self._slots:
            await self._layers.ensure(diff_id, lambda into: self._stream(registry, diff_id, descriptor, into))
        self._meter.add_layer()

    async def _stream(self, registry: Registry, diff_id: str, descriptor: Descriptor, into: Path) -> None:
        """The event loop writes what arrives into a pipe, a thread unpacks from it; both end before this does."""
        loop, raw = asyncio.get_running_loop(), Pipe()
        blob = Blob(diff_id, descriptor.digest, descriptor.size)
        unpacking = loop.run_in_executor(self._pool, _unpack, raw, blob, into, self._config)
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


def _unpack(raw: Pipe, blob: Blob, into: Path, config: ImagesConfig) -> None:
    try:
        unpack_layer(raw.read, blob, into, config)
    finally:
        raw.abandon()

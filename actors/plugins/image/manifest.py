"""Image documents: index, manifest and config, in OCI's and Docker's (v2 schema 2) media types. Pure.

Whatever a registry sends goes through these parsers: what they return has the right types, digests in the right
form and sizes that are not negative; anything else is Corrupt.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from actors.plugins.image.faults import Corrupt, NotPullable
from actors.plugins.image.port import ImageConfig
from actors.plugins.image.reference import is_digest

INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
#: For the Accept header of a manifest request.
ACCEPT = ", ".join((*INDEX_TYPES, *MANIFEST_TYPES))
#: The distribution spec asks registries to take at least this much.
DOCUMENT_BYTES_MAX = 4 << 20

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm", "i686": "386"}
_VARIANTS = {"arm64": ("v8", ""), "armv7l": ("v7", "v6", "v5", ""), "armv6l": ("v6", "v5", "")}

T = TypeVar("T")


class Platform(msgspec.Struct, frozen=True):
    os: str = ""
    architecture: str = ""
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


class Descriptor(msgspec.Struct, frozen=True, rename="camel"):
    """A blob or a document: its digest and size are what must arrive."""

    digest: str
    size: int
    media_type: str = ""
    platform: Platform | None = None
    annotations: dict[str, str] | None = None

    def __post_init__(self) -> None:
        if not is_digest(self.digest):
            raise ValueError(f"{self.digest!r} is not a digest")
        if self.size < 0:
            raise ValueError(f"size {self.size} of {self.digest} is negative")


class Manifest(msgspec.Struct, frozen=True):
    config: Descriptor
    layers: tuple[Descriptor, ...]


class Index(msgspec.Struct, frozen=True):
    manifests: tuple[Descriptor, ...]


class _Kind(msgspec.Struct, frozen=True, rename="camel"):
    schema_version: int = 0
    media_type: str = ""
    config: object = None
    manifests: object = None


class _RunConfig(msgspec.Struct, frozen=True):
    entrypoint: tuple[str, ...] | None = msgspec.field(name="Entrypoint", default=None)
    cmd: tuple[str, ...] | None = msgspec.field(name="Cmd", default=None)
    env: tuple[str, ...] | None = msgspec.field(name="Env", default=None)
    working_dir: str | None = msgspec.field(name="WorkingDir", default=None)
    user: str | None = msgspec.field(name="User", default=None)
    stop_signal: str | None = msgspec.field(name="StopSignal", default=None)


class _RootFs(msgspec.Struct, frozen=True):
    diff_ids: tuple[str, ...] | None = None


class _Config(msgspec.Struct, frozen=True):
    os: str = ""
    architecture: str = ""
    variant: str = ""
    config: _RunConfig | None = None
    rootfs: _RootFs = _RootFs()


class ImageDocument(msgspec.Struct, frozen=True):
    """The image config: how to run it, on what, and the digests of its layers' plain tars, the lowest first."""

    config: ImageConfig
    platform: Platform
    diff_ids: tuple[str, ...]


def parse_document(body: bytes) -> Index | Manifest:
    """What a registry answers for a tag. Raises Corrupt; NotPullable for Docker's schema 1."""
    kind = _decode(body, _Kind, "manifest")
    if kind.schema_version == 1:
        raise NotPullable("the image has a manifest of schema 1, which nothing makes any more: build and push it again")
    if kind.manifests is not None and kind.config is not None:  # CVE-2021-41190
        raise Corrupt("the manifest is an index and an image at once: push the image again")
    if kind.manifests is not None:
        return _decode(body, Index, "index")
    return _decode(body, Manifest, "manifest")


def parse_config(body: bytes, layers: int) -> ImageDocument:
    """The config of an image with that many layers. Raises Corrupt."""
    document = _decode(body, _Config, "image config")
    diff_ids = document.rootfs.diff_ids or ()
    if len(diff_ids) != layers:
        raise Corrupt(f"the image config names {len(diff_ids)} layers and the manifest {layers}: push the image again")
    bad = next((diff_id for diff_id in diff_ids if not is_digest(diff_id)), None)
    if bad is not None:
        raise Corrupt(f"the image config has {bad!r} where a layer's digest must be: push the image again")
    run = document.config or _RunConfig()
    return ImageDocument(
        ImageConfig(
            entrypoint=run.entrypoint or (),
            cmd=run.cmd or (),
            env=run.env or (),
            working_dir=run.working_dir or "",
            user=run.user or "",
            stop_signal=run.stop_signal or "",
        ),
        Platform(document.os, document.architecture, document.variant),
        diff_ids,
    )


def _decode(body: bytes, shape: type[T], what: str) -> T:
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Corrupt(f"the {what} is malformed ({error}): push the image again") from error


def node_platforms(machine: str = "") -> tuple[Platform, ...]:
    """What this machine runs, the best first (`machine` as uname says it)."""
    machine = machine or platform.machine()
    architecture = _ARCHITECTURES.get(machine, machine)
    variants = _VARIANTS.get(machine, _VARIANTS.get(architecture, ("",)))
    return tuple(Platform("linux", architecture, variant) for variant in variants)


def select_platform(manifests: Sequence[Descriptor], wanted: Sequence[Platform]) -> Descriptor:
    """The first member of an index for the best platform. Raises NotPullable with the platforms there are."""
    for target in wanted:
        for descriptor in manifests:
            if descriptor.platform is not None and _key(descriptor.platform) == _key(target):
                return descriptor
    if len(manifests) == 1 and manifests[0].platform is None:
        return manifests[0]
    there = sorted({str(m.platform) for m in manifests if m.platform is not None and m.platform.os != "unknown"})
    raise NotPullable(f"the image has no variant for {wanted[0]}; it has {', '.join(there) or 'none'}")


def check_platform(found: Platform, wanted: Sequence[Platform]) -> None:
    """Raises NotPullable when an image made for one platform cannot run here."""
    known = found.architecture and found.os
    if known and (found.os, found.architecture) not in {(w.os, w.architecture) for w in wanted}:
        raise NotPullable(f"the image is for {found}, this node is {wanted[0]}: build it for {wanted[0]}")


def _key(target: Platform) -> tuple[str, str, str]:
    """linux/arm64 and linux/arm64/v8 are one platform; so are linux/amd64 and linux/amd64/v1."""
    plain = {("arm64", "v8"): "", ("amd64", "v1"): ""}
    return target.os, target.architecture, plain.get((target.architecture, target.variant), target.variant)

"""Which images an archive holds: an OCI layout (`index.json`) or what `docker save` writes (`manifest.json`). Pure.

Nothing is believed: a manifest and a config must have the digests they are named by, the layers are checked when they
are unpacked. Docker's newer archives are both; `manifest.json` is read then, for it has the names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256

import msgspec

from actors.plugins.image.faults import Corrupt, InvalidName, NotPullable
from actors.plugins.image.layer import Blob
from actors.plugins.image.manifest import (
    Descriptor,
    ImageDocument,
    Index,
    Platform,
    check_platform,
    parse_config,
    parse_document,
    select_platform,
)
from actors.plugins.image.reference import Reference, parse_reference

#: `read(name)` is a document of the archive; KeyError where it has no such file.
ReadDocument = Callable[[str], bytes]

_NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
_DEPTH_MAX = 3


class Member(msgspec.Struct, frozen=True):
    """A layer's file in the archive and what it must be."""

    path: str
    blob: Blob


class ArchivedImage(msgspec.Struct, frozen=True):
    """`digest` is the manifest's; Docker's own format has none."""

    id: str
    references: tuple[Reference, ...]
    digest: str
    layers: tuple[Member, ...]
    document: ImageDocument


class _DockerImage(msgspec.Struct, frozen=True):
    config: str = msgspec.field(name="Config")
    layers: tuple[str, ...] = msgspec.field(name="Layers")
    repo_tags: tuple[str, ...] | None = msgspec.field(name="RepoTags", default=None)


def list_images(read: ReadDocument, platforms: Sequence[Platform], stem: str) -> list[ArchivedImage]:
    """The images for this platform. `stem`, the archive's own name, completes references that are a tag only."""
    try:
        docker = _find(read, "manifest.json")
        if docker is not None:
            return [_docker_image(read, image, platforms) for image in _decode_docker(docker)]
        index = _find(read, "index.json")
        if index is not None:
            return _oci_images(read, index, platforms, stem)
    except KeyError as error:
        raise Corrupt(f"the archive has no file {error}, which its index names: save the image again") from error
    raise NotPullable("this is no image archive: it has neither index.json (OCI) nor manifest.json (docker save)")


def _find(read: ReadDocument, name: str) -> bytes | None:
    try:
        return read(name)
    except KeyError:
        return None


def _decode_docker(body: bytes) -> list[_DockerImage]:
    try:
        return msgspec.json.decode(body, type=list[_DockerImage])
    except msgspec.DecodeError as error:
        raise Corrupt(f"the archive's manifest.json is malformed: {error}") from error


def _docker_image(read: ReadDocument, image: _DockerImage, platforms: Sequence[Platform]) -> ArchivedImage:
    body = read(image.config)
    document = parse_config(body, len(image.layers))
    check_platform(document.platform, platforms)
    layers = (Member(path, Blob(diff)) for path, diff in zip(image.layers, document.diff_ids, strict=True))
    references = tuple(parse_reference(tag) for tag in image.repo_tags or ())
    return ArchivedImage(_digest(body), references, "", tuple(layers), document)


def _oci_images(read: ReadDocument, body: bytes, platforms: Sequence[Platform], stem: str) -> list[ArchivedImage]:
    """Descriptors of one image under several names become one image with several references."""
    found: dict[str, ArchivedImage] = {}
    index = parse_document(body)
    if not isinstance(index, Index):
        raise Corrupt("the archive's index.json is no index")
    for descriptor in index.manifests:
        image = _oci_image(read, descriptor, platforms, _references(descriptor, stem))
        known = found.get(image.id)
        names = image.references if known is None else known.references + image.references
        found[image.id] = msgspec.structs.replace(image, references=tuple(dict.fromkeys(names)))
    return list(found.values())


def _oci_image(
    read: ReadDocument, descriptor: Descriptor, platforms: Sequence[Platform], references: tuple[Reference, ...]
) -> ArchivedImage:
    document = parse_document(_verified(read, descriptor))
    for _ in range(_DEPTH_MAX):
        if not isinstance(document, Index):
            break
        document = parse_document(_verified(read, select_platform(document.manifests, platforms)))
    if isinstance(document, Index):
        raise Corrupt("the archive's index is nested too deep")
    config = parse_config(_verified(read, document.config), len(document.layers))
    check_platform(config.platform, platforms)
    layers = (
        Member(_blob_path(layer), Blob(diff, layer.digest, layer.size))
        for layer, diff in zip(document.layers, config.diff_ids, strict=True)
    )
    return ArchivedImage(document.config.digest, references, descriptor.digest, tuple(layers), config)


def _references(descriptor: Descriptor, stem: str) -> tuple[Reference, ...]:
    """The first annotation that names the image. A bare tag (`1`, as umoci writes) is completed with `stem`."""
    annotations = descriptor.annotations or {}
    name = next((annotations[key] for key in _NAMES if annotations.get(key)), "")
    if not name:
        return ()
    try:
        return (parse_reference(name if set(name) & {":", "/"} else f"{stem}:{name}"),)
    except InvalidName:
        return ()


def _verified(read: ReadDocument, descriptor: Descriptor) -> bytes:
    body = read(_blob_path(descriptor))
    if descriptor.digest.startswith("sha256:") and _digest(body) != descriptor.digest:
        raise Corrupt(f"corrupt archive: a document has digest {_digest(body)} and must have {descriptor.digest}")
    return body


def _blob_path(descriptor: Descriptor) -> str:
    return "blobs/" + descriptor.digest.replace(":", "/", 1)


def _digest(body: bytes) -> str:
    return "sha256:" + sha256(body).hexdigest()

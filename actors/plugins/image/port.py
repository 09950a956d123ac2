"""CRI v1's ImageService, plus `rootfs` for runtimes that mount the layers themselves.

Layers are cached by digest and unpacked once. Every failure is a PluginError("image") with Kubernetes' reason:
ErrImagePull, InvalidImageName, ErrImageNeverPull, RegistryUnavailable, ImageNotFound (no root file system of what
is not here), ImageInUse; a wrong digest is not retryable.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from actors.api.clock import Millis

#: The reserved name of the node's own root file system.
HOST_IMAGE = "host"


class ImageConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What the OCI image config says about running it. `user` as in the config: "", "uid", "name:group"..."""

    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    working_dir: str = ""
    user: str = ""
    stop_signal: str = ""


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """`id` is the config's digest (`sha256:...`); for the host image it is `host`."""

    id: str
    tags: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    size_bytes: int = 0
    config: ImageConfig = ImageConfig()
    pulled_at_ms: Millis = 0


class Rootfs(msgspec.Struct, frozen=True):
    """Directories for overlayfs' lowerdir, the topmost first. Read-only for the caller.

    `masked`: absolute paths (files or directories) in it that the container must not see; the runtime covers them, as
    it does /proc/kcore, before it mounts volumes. Only the host image has any.
    """

    layers: tuple[str, ...]
    masked: tuple[str, ...] = ()


class Auth(msgspec.Struct, frozen=True):
    """Basic credentials, or an identity token for the registry's token service."""

    username: str = ""
    password: str = ""
    identity_token: str = ""


class Progress(msgspec.Struct, frozen=True):
    """Where a pull stands. `phase`: resolving, pulling, unpacking, done."""

    phase: str
    layers_total: int = 0
    layers_done: int = 0
    bytes_total: int = 0
    bytes_done: int = 0


ProgressSink = Callable[[Progress], None]


class ImagePort(Protocol):
    async def pull_image(self, reference: str, auth: Auth | None = None, progress: ProgressSink | None = None) -> Image:
        """Fetch and unpack. What is cached is not fetched again; two calls at once share one pull."""
        ...

    async def image_status(self, reference: str) -> Image | None:
        """By reference, digest reference or id. None when it is not here."""
        ...

    async def list_images(self) -> list[Image]: ...

    async def remove_image(self, reference: str) -> None:
        """Drop the tag; with its last tag the image and the layers no other image uses. A second call does nothing.

        Fails with ImageInUse while a root file system of it is held.
        """
        ...

    async def load_image(self, path: str, progress: ProgressSink | None = None) -> list[Image]:
        """From an OCI archive or a `docker save` tar."""
        ...

    async def rootfs(self, image_id: str, holder: str) -> Rootfs:
        """The unpacked layers, held for `holder` (a container id) until `release`. Repeating it changes nothing."""
        ...

    async def release(self, image_id: str, holder: str) -> None:
        """The holder is gone. A second call does nothing."""
        ...

"""What a node may pull, from where, and how large it may be. Part of the nodelet's configuration (field `images`)."""

from __future__ import annotations

import msgspec

#: The registry that references without a host mean.
DEFAULT_REGISTRY = "docker.io"


class RegistryConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One registry. `password_file` is read at each pull, so a rotated password needs no restart."""

    insecure_http: bool = False
    ca_file: str = ""
    username: str = ""
    password_file: str = ""


class ImagesConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`registries` by the host[:port] of references. The sizes bound what a hostile image can cost a node."""

    registries: dict[str, RegistryConfig] = {}
    host_image: bool = True
    #: Directories that the `host` image does not show, beside the image store itself.
    host_image_hides: tuple[str, ...] = ()
    layers_max: int = 256
    layer_entries_max: int = 4_000_000
    layer_bytes_max: int = 256 << 30
    layers_concurrent: int = 3
    attempts_max: int = 4
    backoff_first_ms: int = 200
    stall_timeout_ms: int = 60_000
    connect_timeout_ms: int = 10_000

"""The reserved image `host`: the node's own root file system as the lower layer of a container's overlay.

It is there without a pull, cannot be removed, and can be switched off in the configuration. Overlayfs shows the root
file system alone, not what is mounted in it. What it must not show (the image store, and what else the configuration
hides: keys, other pods' volumes) is named in `Rootfs.masked`, for overlayfs refuses a mask that lies within `/`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from actors.plugins.image.faults import NotPullable
from actors.plugins.image.port import HOST_IMAGE, Image, ImageConfig, Rootfs

IMAGE = Image(
    id=HOST_IMAGE,
    tags=(HOST_IMAGE,),
    config=ImageConfig(
        cmd=("/bin/sh",), env=("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",), working_dir="/"
    ),
)


def check_allowed(allowed: bool) -> None:
    """Raises NotPullable, saying where it is switched off."""
    if not allowed:
        raise NotPullable(
            "the image `host` is switched off on this node (images.host_image: false in its configuration)"
        )


def make_rootfs(hidden: Sequence[str]) -> Rootfs:
    """The node's root, with the hidden paths that exist as masked (links resolved, for a mask is put on the target)."""
    paths = {os.path.realpath(path) for path in hidden if os.path.lexists(path)} - {"/"}
    return Rootfs(("/",), tuple(sorted(paths)))

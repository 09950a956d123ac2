"""Images of one node across processes: the gateway asks, the node's nodelet answers from its image port.

A pull or load outlives one question: asked again with the same request it answers how far it is, until `done`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from actors.api.clock import Millis


class ImageRequest(msgspec.Struct, frozen=True, kw_only=True):
    """`reference` names the image (pull, remove), `path` an archive on the node (load); `list` needs neither.

    A pull or load that is not done after `wait_ms` is answered with its progress and goes on.
    """

    verb: Literal["list", "pull", "load", "remove"]
    reference: str = ""
    path: str = ""
    username: str = ""
    password: str = ""
    wait_ms: Millis = 10_000


class ImageSummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`id` is the config's digest; for the host image it is `host`."""

    id: str
    tags: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    size_bytes: int = 0
    pulled_at_ms: Millis = 0


class ImageProgress(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where a pull or load stands. `phase`: resolving, pulling, unpacking, done."""

    phase: str
    layers_total: int = 0
    layers_done: int = 0
    bytes_total: int = 0
    bytes_done: int = 0


class ImageReply(msgspec.Struct, frozen=True, kw_only=True):
    """`images`: what is on the node (list), what was pulled or loaded (once `done`).

    Raised instead: NotFound (remove of what is not there), BadRequest with the image port's message (not
    retryable), Unavailable (retryable).
    """

    images: tuple[ImageSummary, ...] = ()
    done: bool = True
    progress: ImageProgress | None = None

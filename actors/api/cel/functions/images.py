"""`image("host/name:tag@sha256:...").registry()` and its parts (apiserver pkg/cel/library/image.go)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from actors.api.cel.functions.declare import BOOL, STRING, Function, member, opaque, traversal
from actors.api.cel.functions.network import can

IMAGE = opaque("kubernetes.Image")
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::\d{1,5})?"
_REFERENCE = re.compile(
    rf"(?:(?P<host>{_HOST})/)?(?P<path>{_PART}(?:/{_PART})*)(?::(?P<tag>\w[\w.-]{{0,127}}))?"
    r"(?:@(?P<digest>[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,128}))?",
    re.ASCII,
)
_CHARS_MAX = 4096


@dataclass(slots=True, frozen=True)
class Image:
    registry: str
    repository: str
    tag: str
    digest: str
    type_name: ClassVar[str] = "kubernetes.Image"

    @property
    def identifier(self) -> str:
        return self.digest or self.tag


def _image(text: str) -> Image:
    """With docker.io, library/ and latest where they go without saying. Raises ValueError."""
    match = _REFERENCE.fullmatch(text) if len(text) <= _CHARS_MAX else None
    if match is None:
        raise ValueError(f"could not parse reference: {text[:100]}")
    host, path = match["host"] or "", match["path"]
    if host and not re.search(r"[.:\[]", host) and host != "localhost":
        host, path = "", f"{host}/{path}"
    if not host:
        host, path = "index.docker.io", path if "/" in path else f"library/{path}"
    digest = match["digest"] or ""
    return Image(host, path, match["tag"] or ("" if digest else "latest"), digest)


FUNCTIONS = (
    Function("image", (STRING,), IMAGE, _image, cost=traversal()),
    Function("isImage", (STRING,), BOOL, can(_image), cost=traversal()),
    member("containsDigest", (IMAGE,), BOOL, lambda image: bool(image.digest)),
    member("registry", (IMAGE,), STRING, lambda image: image.registry),
    member("repository", (IMAGE,), STRING, lambda image: image.repository),
    member("identifier", (IMAGE,), STRING, lambda image: image.identifier),
    member("tag", (IMAGE,), STRING, lambda image: image.tag),
    member("digest", (IMAGE,), STRING, lambda image: image.digest),
)

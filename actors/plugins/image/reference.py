"""Image references: `[host[:port]/]path[:tag][@digest]`, as Docker and the distribution spec write them. Pure.

A first component is a host when it has a dot, a colon or is `localhost`; without one the image is of docker.io, and
of its `library` when it has a single component. The canonical text always has host and tag or digest.
"""

from __future__ import annotations

import ipaddress
import re

import msgspec

from actors.plugins.image.config import DEFAULT_REGISTRY
from actors.plugins.image.faults import InvalidName

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*\Z")
_TAG = re.compile(r"\w[\w.-]{0,127}\Z", re.ASCII)
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_HOST = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{{1,5}})?\Z")
_DIGEST = re.compile(r"(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})\Z")
_PATH_LENGTH_MAX = 255


class Reference(msgspec.Struct, frozen=True):
    """`tag` is "" only for a reference by digest alone."""

    host: str
    path: str
    tag: str = "latest"
    digest: str = ""

    @property
    def repository(self) -> str:
        return f"{self.host}/{self.path}"

    @property
    def tagged(self) -> str:
        """The name that a pull gives the image; "" for a reference by digest alone."""
        return f"{self.repository}:{self.tag}" if self.tag else ""

    @property
    def version(self) -> str:
        """What to ask the registry for: a digest is exact, a tag is not."""
        return self.digest or self.tag

    def __str__(self) -> str:
        return (self.tagged or self.repository) + (f"@{self.digest}" if self.digest else "")


def is_digest(text: str) -> bool:
    """`sha256:...` or `sha512:...`, in full and in lower case."""
    return _DIGEST.match(text) is not None


def parse_reference(text: str) -> Reference:
    """The reference with its defaults filled in. Raises InvalidName, saying which part is wrong."""
    name, at, digest = text.partition("@")
    if at and not is_digest(digest):
        raise _invalid(text, f"{digest!r} is not a digest (sha256: and 64 hexadecimal digits)")
    host, path = _split_host(name)
    path, colon, tag = path.partition(":")
    if colon and not _TAG.match(tag):
        raise _invalid(text, f"{tag!r} is not a tag (at most 128 letters, digits, '_', '.', '-')")
    if not _PATH.match(path) or len(path) > _PATH_LENGTH_MAX:
        raise _invalid(text, f"{path!r} is not a repository name (lower-case letters, digits, single separators, '/')")
    if not _HOST.match(host) or not _has_port(host):
        raise _invalid(text, f"{host!r} is not a registry host")
    return Reference(host, path, tag or ("" if digest else "latest"), digest)


def _split_host(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        host, path = ("docker.io" if first == "index.docker.io" else first), rest
    else:
        host, path = DEFAULT_REGISTRY, name
    return host, f"library/{path}" if host == DEFAULT_REGISTRY and "/" not in path else path


def _has_port(host: str) -> bool:
    """None, or one that can be."""
    port = host.rpartition("]")[2].partition(":")[2]
    return not port or 0 < int(port) < 65536


def _invalid(text: str, why: str) -> InvalidName:
    return InvalidName(f"{text!r} is not an image reference: {why}")


def is_loopback(host: str) -> bool:
    """Whether a registry host (with or without port) is this machine, to which plain HTTP is safe."""
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False

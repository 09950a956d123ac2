"""When an image is pulled, with which credentials, and which reason a pod shows meanwhile. Pure.

Rules: kubernetes.io/docs/concepts/containers/images; credentials: secrets of type kubernetes.io/dockerconfigjson.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import Any

import msgspec

from actors.api.pod import Container
from actors.plugins.image.port import HOST_IMAGE, Auth, Progress

DOCKER_HUB = "docker.io"
_HUB_ALIASES = frozenset({"index.docker.io", "registry-1.docker.io", "registry.hub.docker.com", DOCKER_HUB})


def pull_policy_of(container: Container) -> str:
    """`Always`, `IfNotPresent` or `Never`. The node's own file system is never fetched."""
    if container.image == HOST_IMAGE:
        return "IfNotPresent"
    if container.image_pull_policy:
        return container.image_pull_policy
    return "Always" if is_latest(container.image) else "IfNotPresent"


def is_latest(reference: str) -> bool:
    """Does it name a moving target: no digest, and no tag or the tag `latest`?"""
    if "@" in reference:
        return False
    _, _, tag = reference.rpartition("/")[2].partition(":")
    return tag in ("", "latest")


def registry_of(reference: str) -> str:
    """`docker.io` for a short name."""
    first, slash, _ = reference.partition("/")
    is_host = bool(slash) and ("." in first or ":" in first or first == "localhost")
    return DOCKER_HUB if not is_host or first in _HUB_ALIASES else first


def format_progress(progress: Progress) -> str:
    """`pulling: 12 of 340 MiB, layer 2 of 5`."""
    done, total = progress.bytes_done >> 20, progress.bytes_total >> 20
    size = f": {done} of {total} MiB, layer {progress.layers_done} of {progress.layers_total}" if total else ""
    return f"{progress.phase}{size}"


def select_auth(reference: str, secrets: Iterable[dict[str, Any]]) -> Auth | None:
    """The first credentials for the image's registry (the longest matching path first, as kubelet chooses)."""
    matches: list[tuple[int, int, Auth]] = []
    for order, secret in enumerate(secrets):
        for target, entry in _docker_auths(secret).items():
            host, _, path = target.partition("/")
            if _matches(reference, host, path):
                matches.append((-len(path), order, _auth_of(entry)))
    return min(matches, key=lambda match: match[:2])[2] if matches else None


def _matches(reference: str, host: str, path: str) -> bool:
    wanted = registry_of(reference)
    if wanted != (DOCKER_HUB if host in _HUB_ALIASES else host):
        return False
    path = "" if path in ("v1", "v2") else path
    _, _, repository = reference.partition("/")
    return not path or repository == path or repository.startswith((path + "/", path + ":", path + "@"))


def _docker_auths(secret: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """`{host[/path]: entry}`; empty for anything that is no docker configuration."""
    data = secret.get("data") or {}
    try:
        if secret.get("type") == "kubernetes.io/dockercfg":
            auths = msgspec.json.decode(base64.b64decode(data.get(".dockercfg", "")))
        else:
            auths = msgspec.json.decode(base64.b64decode(data.get(".dockerconfigjson", ""))).get("auths")
        entries = {_target(key): entry for key, entry in auths.items() if isinstance(entry, dict)}
    except (binascii.Error, msgspec.DecodeError, AttributeError, TypeError, ValueError):
        return {}
    return entries


def _target(key: str) -> str:
    return str(key).removeprefix("https://").removeprefix("http://").rstrip("/")


def _auth_of(entry: dict[str, Any]) -> Auth:
    token = str(entry.get("identitytoken") or "")
    username, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if not username and entry.get("auth"):
        try:
            username, _, password = base64.b64decode(str(entry["auth"])).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            username = password = ""
    return Auth(username=username, password=password, identity_token=token)

"""What is served, as data: the table of kinds by group and version, and what each subresource takes.

Discovery, OpenAPI and routing all read this; what is not here is not advertised and answers 404.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from actors.api.errors import NotFound
from actors.api.kinds import BINDING, SERVED, Kind

_NO_RESOURCE = "the server could not find the requested resource"


class Subresource(msgspec.Struct, frozen=True):
    """`kind` "" is that of the resource itself, which may also be part of it."""

    verbs: tuple[str, ...]
    kind: str = ""
    group: str = ""
    version: str = ""


SUBRESOURCES: dict[str, Subresource] = {
    "status": Subresource(("get", "patch", "update")),
    "scale": Subresource(("get", "patch", "update"), "Scale", "autoscaling", "v1"),
    "binding": Subresource(("create",), "Binding", "", "v1"),
    "eviction": Subresource(("create",), "Eviction", "policy", "v1"),
    "approval": Subresource(("get", "patch", "update")),
    "ephemeralcontainers": Subresource(("get", "patch", "update")),
    "resize": Subresource(("get", "patch", "update")),
    "finalize": Subresource(("update",)),
    "token": Subresource(("create",), "TokenRequest", "authentication.k8s.io", "v1"),
    "log": Subresource(("get",)),
    "exec": Subresource(("create", "get"), "PodExecOptions", "", "v1"),
    "proxy": Subresource(("create", "delete", "get", "patch", "update"), "{kind}ProxyOptions", "", "v1"),
    "attach": Subresource(("create", "get"), "PodAttachOptions", "", "v1"),
    "portforward": Subresource(("create", "get"), "PodPortForwardOptions", "", "v1"),
}

#: Kinds that are answered from what the gateway knows of the client; none of them is kept.
REVIEWS = tuple(kind for kind in SERVED if kind.answers == ("create",) and not kind.stored and kind is not BINDING)

#: (group, version) -> its kinds, in the order of the table.
GROUPS: dict[tuple[str, str], tuple[Kind, ...]] = {
    gv: tuple(kind for kind in SERVED if (kind.group, kind.version) == gv)
    for gv in dict.fromkeys((kind.group, kind.version) for kind in SERVED)
}


class RemoteVersion(NamedTuple):
    """What another server has told of its group and version. `resources`: the rows of its APIResourceList; `openapi`:
    the hash of its OpenAPI v3 document, "" where it has none; `swagger`: its part of its OpenAPI v2 document, as JSON,
    known there by `swagger_tag`. `fresh` False: it does not answer, this is older."""

    group: str
    version: str
    group_priority: int
    version_priority: int
    resources: tuple[Any, ...] = ()
    openapi: str = ""
    fresh: bool = False
    swagger: bytes = b""
    swagger_tag: str = ""


def _importance(found: RemoteVersion) -> tuple[int, str, int, str]:
    return -found.group_priority, found.group, -found.version_priority, found.version


class Served:
    """All that is served at one moment: the table, and the custom kinds of then. Equal only to itself.

    `tag` tells it from other moments. `remote`: what other servers serve.
    """

    def __init__(self, custom: Iterable[Kind] = (), tag: str = "") -> None:
        self.tag = tag
        self.groups = dict(GROUPS)
        for kind in sorted(custom, key=_rank):
            at = (kind.group, kind.version)
            self.groups[at] = (*self.groups.get(at, ()), kind)
        self.remote: dict[tuple[str, str], RemoteVersion] = {}
        self._by_plural = {(k.group, k.version, k.plural): k for kinds in self.groups.values() for k in kinds}

    def with_remote(self, versions: Iterable[RemoteVersion]) -> Served:
        """With what other servers serve, in the place of anything of ours."""
        merged = copy.copy(self)
        merged.remote = {(found.group, found.version): found for found in sorted(versions, key=_importance)}
        merged.groups = {at: kinds for at, kinds in self.groups.items() if at not in merged.remote}
        return merged

    def find(self, group: str, version: str, plural: str) -> Kind | None:
        return self._by_plural.get((group, version, plural))

    def kind_at(self, group: str, version: str, plural: str) -> Kind:
        """Raises NotFound with Kubernetes' sentence."""
        kind = self.find(group, version, plural)
        if kind is None:
            raise NotFound(_NO_RESOURCE)
        return kind


_VERSION = re.compile(r"v(\d{1,9})(?:(alpha|beta)(\d{1,9}))?$")


def _rank(kind: Kind) -> tuple[Any, ...]:
    """Groups by name; their versions as Kubernetes ranks them: v10, v2, v1, v11beta2, v1alpha1, then others by name."""
    match = _VERSION.match(kind.version)
    if match is None:
        return kind.group, 3, 0, 0, kind.version, kind.plural
    stability = {None: 0, "beta": 1, "alpha": 2}[match[2]]
    return kind.group, stability, -int(match[1]), -int(match[3] or 0), "", kind.plural


#: Without any custom kind.
STATIC = Served()


def kind_at(group: str, version: str, plural: str) -> Kind:
    """Of the table. Raises NotFound with Kubernetes' sentence."""
    return STATIC.kind_at(group, version, plural)


def subresources_of(kind: Kind) -> Iterator[tuple[str, Subresource]]:
    for name in sorted(kind.subresources):
        found = SUBRESOURCES[name]
        yield name, msgspec.structs.replace(found, kind=found.kind.format(kind=kind.kind))

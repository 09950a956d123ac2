"""What is served, as data: the table of kinds by group and version, and what each subresource takes.

Discovery, OpenAPI and routing all read this; what is not here is not advertised and answers 404.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from actors.api.errors import NotFound
from actors.api.kinds import BINDING, SERVED, Kind

_NO_RESOURCE = "the server could not find the requested resource"


class Subresource(msgspec.Struct, frozen=True):
    """`kind` "" is that of the resource itself."""

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
    "finalize": Subresource(("update",)),
    "token": Subresource(("create",), "TokenRequest", "authentication.k8s.io", "v1"),
    "log": Subresource(("get",)),
}

#: Kinds that are answered from what the gateway knows of the client; none of them is kept.
REVIEWS = tuple(kind for kind in SERVED if not kind.stored and kind is not BINDING)

#: (group, version) -> its kinds, in the order of the table.
GROUPS: dict[tuple[str, str], tuple[Kind, ...]] = {
    gv: tuple(kind for kind in SERVED if (kind.group, kind.version) == gv)
    for gv in dict.fromkeys((kind.group, kind.version) for kind in SERVED)
}
_BY_PLURAL = {(kind.group, kind.version, kind.plural): kind for kinds in GROUPS.values() for kind in kinds}


def kind_at(group: str, version: str, plural: str) -> Kind:
    """Raises NotFound with Kubernetes' sentence."""
    kind = _BY_PLURAL.get((group, version, plural))
    if kind is None:
        raise NotFound(_NO_RESOURCE)
    return kind


def subresources_of(kind: Kind) -> Iterator[tuple[str, Subresource]]:
    return ((name, SUBRESOURCES[name]) for name in sorted(kind.subresources))

"""What is served, as data: the table of kinds plus the kinds that exist only as answers (reviews, Scale, Binding).

Discovery, OpenAPI and routing all read this; what is not here is not advertised and answers 404.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from actors.api.errors import NotFound
from actors.api.kinds import KINDS, Kind

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
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
    "finalize": Subresource(("update",)),
    "log": Subresource(("get",)),
}

SELF_ACCESS_REVIEW = Kind(
    "authorization.k8s.io", "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", False, has_spec=False
)
SELF_RULES_REVIEW = Kind(
    "authorization.k8s.io", "v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews", False, has_spec=False
)
SELF_REVIEW = Kind("authentication.k8s.io", "v1", "SelfSubjectReview", "selfsubjectreviews", False, has_spec=False)
REVIEWS = (SELF_ACCESS_REVIEW, SELF_RULES_REVIEW, SELF_REVIEW)

#: (group, version) -> its kinds, in the order of the tables; the core group first.
GROUPS: dict[tuple[str, str], tuple[Kind, ...]] = {
    gv: tuple(kind for kind in (*KINDS, *REVIEWS) if (kind.group, kind.version) == gv)
    for gv in dict.fromkeys((kind.group, kind.version) for kind in (*KINDS, *REVIEWS))
}
_BY_PLURAL = {(kind.group, kind.version, kind.plural): kind for kinds in GROUPS.values() for kind in kinds}


def kind_at(group: str, version: str, plural: str) -> Kind:
    """Raises NotFound with Kubernetes' sentence."""
    kind = _BY_PLURAL.get((group, version, plural))
    if kind is None:
        raise NotFound(_NO_RESOURCE)
    return kind


def verbs_of(kind: Kind) -> tuple[str, ...]:
    if kind in REVIEWS:
        return ("create",)
    return tuple(verb for verb in VERBS if verb != "deletecollection" or kind.plural != "namespaces")


def subresources_of(kind: Kind) -> Iterator[tuple[str, Subresource]]:
    return ((name, SUBRESOURCES[name]) for name in sorted(kind.subresources))

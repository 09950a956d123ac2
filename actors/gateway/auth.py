"""Who asks, and whether they may: from the client certificate, and one pure rule. RBAC will take `authorize`'s place.

The rule today: `system:masters` may do everything; everybody may read whether the server lives and its version;
who has a name may also discover what is served and ask about themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from actors.api.errors import BadRequest, Forbidden, Unauthorized
from actors.gateway.target import Target

MASTERS = "system:masters"
AUTHENTICATED = "system:authenticated"
ANONYMOUS = "system:anonymous"
_OPEN_PATHS = frozenset({"version", "healthz", "livez", "readyz"})
_DISCOVERY_PATHS = frozenset({"api", "apis", "openapi"})
_SELF_REVIEWS = frozenset(
    {
        ("authorization.k8s.io", "selfsubjectaccessreviews"),
        ("authorization.k8s.io", "selfsubjectrulesreviews"),
        ("authentication.k8s.io", "selfsubjectreviews"),
    }
)


class User(msgspec.Struct, frozen=True):
    name: str
    groups: tuple[str, ...] = ()

    @property
    def is_anonymous(self) -> bool:
        return self.name == ANONYMOUS


NOBODY = User(ANONYMOUS, ("system:unauthenticated",))


def user_of(certificate: Mapping[str, Any] | None) -> User:
    """Of what `ssl.SSLSocket.getpeercert` tells, verified by TLS: CN is the name, each O a group."""
    if not certificate:
        return NOBODY
    subject = [pair for part in certificate.get("subject", ()) for pair in part]
    name = next((value for key, value in subject if key == "commonName"), "")
    groups = tuple(value for key, value in subject if key == "organizationName")
    return User(name, (*groups, AUTHENTICATED)) if name else NOBODY


def impersonate(user: User, name: str, groups: Sequence[str]) -> User:
    """Who `user` asks to be taken for (`kubectl --as`); itself when for nobody. Raises Forbidden, BadRequest."""
    if not name and groups:
        raise BadRequest("groups cannot be impersonated without impersonating a user")
    if not name:
        return user
    if MASTERS not in user.groups:
        message = f'users "{name}" is forbidden: User "{user.name}" cannot impersonate resource "users" in API group ""'
        raise Forbidden(f"{message} at the cluster scope", name=name, kind="users")
    return User(name, tuple(dict.fromkeys((*groups, AUTHENTICATED))))


def authorize(user: User, target: Target) -> bool:
    if MASTERS in user.groups:
        return True
    if target.plural:
        return not user.is_anonymous and target.verb == "create" and (target.group, target.plural) in _SELF_REVIEWS
    opened = _OPEN_PATHS if user.is_anonymous else _OPEN_PATHS | _DISCOVERY_PATHS
    return target.verb == "get" and bool(target.segments) and target.segments[0] in opened


def check(user: User, target: Target) -> None:
    """Raises Unauthorized (nobody in particular), Forbidden (somebody who may not)."""
    if authorize(user, target):
        return
    if user.is_anonymous:
        raise Unauthorized("Unauthorized")
    raise Forbidden(forbidden_message(user, target), name=target.name, group=target.group, kind=target.plural)


def forbidden_message(user: User, target: Target) -> str:
    """kube-apiserver's sentence, which clients match on."""
    if not target.plural:
        return f'forbidden: User "{user.name}" cannot {target.verb} path "{target.path}"'
    resource = f"{target.plural}/{target.subresource}" if target.subresource else target.plural
    what = f'{target.resource} "{target.name}"' if target.name else target.resource
    where = f'in the namespace "{target.namespace}"' if target.namespace else "at the cluster scope"
    return (
        f'{what} is forbidden: User "{user.name}" cannot {target.verb} resource "{resource}" '
        f'in API group "{target.group}" {where}'
    )

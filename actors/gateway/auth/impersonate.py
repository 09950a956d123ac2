"""`kubectl --as`: taking a request for another user's, each part of that identity authorized by itself.

The headers are Impersonate-User, -Group, -Uid and -Extra-KEY (apiserver pkg/endpoints/filters/impersonation.go).
A header that is there twice where one is meant, or a part without a user, is refused, never picked from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol
from urllib.parse import unquote

import msgspec

from actors.api.errors import BadRequest
from actors.api.rbac import Attributes
from actors.gateway.auth.authorize import check
from actors.gateway.auth.policy import Policy
from actors.gateway.auth.user import (
    ANONYMOUS,
    UNAUTHENTICATED,
    User,
    authenticated,
    service_account_groups,
    split_service_account,
)

_EXTRA = "impersonate-extra-"
_AUTHENTICATION = "authentication.k8s.io"
_PARTS_MAX = 200


class Headers(Protocol):
    def getall(self, key: str, default: list[str]) -> list[str]: ...
    def items(self) -> Iterable[tuple[str, str]]: ...


class Wish(msgspec.Struct, frozen=True):
    """Who the client asks to be taken for."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


def read_wish(headers: Headers) -> Wish | None:
    """None when nobody else is asked for. Raises BadRequest."""
    asked = [value for name, value in headers.items() if name.lower().startswith("impersonate-")]
    if not asked:
        return None
    if not all(map(_is_text, asked)):
        raise BadRequest("whom to impersonate is not told in UTF-8")
    name, uid = _one(headers, "Impersonate-User"), _one(headers, "Impersonate-Uid")
    groups = tuple(dict.fromkeys(headers.getall("Impersonate-Group", [])))
    extra: dict[str, list[str]] = {}
    for header, value in headers.items():
        if header.lower().startswith(_EXTRA):
            extra.setdefault(unquote(header[len(_EXTRA) :]).lower(), []).append(value)
    if not name:
        what = "groups" if groups else "uids" if uid else "extras"
        raise BadRequest(f"requested {what} without impersonating a user")
    if len(groups) + len(extra) > _PARTS_MAX:
        raise BadRequest(f"more than {_PARTS_MAX} groups and extras to impersonate")
    return Wish(name, groups, uid, tuple((key, tuple(values)) for key, values in extra.items()))


def _is_text(value: str) -> bool:
    """What is not UTF-8 comes out of the head of a request with surrogates, which no answer could repeat."""
    return not any("\ud800" <= char <= "\udfff" for char in value)


def _one(headers: Headers, name: str) -> str:
    values = headers.getall(name, [])
    if len(values) > 1:
        raise BadRequest(f"the header {name} is there {len(values)} times")
    return values[0] if values else ""


def impersonated(policy: Policy, user: User, wish: Wish) -> User:
    """Raises Forbidden for a part that `user` may not take on."""
    for asked in _questions(wish):
        check(policy, user, asked)
    account = split_service_account(wish.name)
    groups = wish.groups or (service_account_groups(account[0]) if account else ())
    if wish.name == ANONYMOUS and UNAUTHENTICATED not in groups:
        groups = (*groups, UNAUTHENTICATED)
    return authenticated(User(wish.name, groups, wish.uid, wish.extra))


def _questions(wish: Wish) -> Iterator[Attributes]:
    account = split_service_account(wish.name)
    if account:
        yield Attributes(verb="impersonate", resource="serviceaccounts", namespace=account[0], name=account[1])
    else:
        yield Attributes(verb="impersonate", resource="users", name=wish.name)
    for group in wish.groups:
        yield Attributes(verb="impersonate", resource="groups", name=group)
    if wish.uid:
        yield Attributes(verb="impersonate", group=_AUTHENTICATION, resource="uids", name=wish.uid)
    for key, values in wish.extra:
        for value in values:
            yield Attributes(
                verb="impersonate", group=_AUTHENTICATION, resource="userextras", subresource=key, name=value
            )

"""A user as Kubernetes has it: name, uid, groups, extras (authentication/v1 UserInfo), and what certificates name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any

import msgspec

MASTERS = "system:masters"
AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
ANONYMOUS = "system:anonymous"
SERVICE_ACCOUNTS = "system:serviceaccounts"
NODES = "system:nodes"
NODE_PREFIX = "system:node:"
#: The extra that tells which credential was shown.
CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"
_SERVICE_ACCOUNT_PREFIX = "system:serviceaccount:"


class User(msgspec.Struct, frozen=True):
    """Hashable: answers are kept by user. `extra` holds (key, values) pairs."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def is_anonymous(self) -> bool:
        return self.name == ANONYMOUS

    @property
    def is_master(self) -> bool:
        return MASTERS in self.groups

    def to_info(self) -> dict[str, Any]:
        """UserInfo."""
        info: dict[str, Any] = {"username": self.name, "uid": self.uid, "groups": list(self.groups)}
        info["extra"] = {key: list(values) for key, values in self.extra}
        return {name: value for name, value in info.items() if value}


def user_of_info(info: Mapping[str, Any]) -> User:
    """Of a UserInfo."""
    extra = tuple((key, tuple(values)) for key, values in (info.get("extra") or {}).items())
    return User(info.get("username", ""), tuple(info.get("groups") or ()), info.get("uid", ""), extra)


def node_of(user: User) -> str | None:
    """The node's name, of one; "": one that does not say which (pkg/auth/nodeidentifier)."""
    if not user.name.startswith(NODE_PREFIX) or NODES not in user.groups:
        return None
    return user.name.removeprefix(NODE_PREFIX)


NOBODY = User(ANONYMOUS, (UNAUTHENTICATED,))


def authenticated(user: User) -> User:
    """With the group that everybody has who proved a name."""
    if AUTHENTICATED in user.groups or user.is_anonymous:
        return user
    return msgspec.structs.replace(user, groups=(*user.groups, AUTHENTICATED))


def user_of(certificate: Mapping[str, Any] | None) -> User | None:
    """Of what `ssl.SSLSocket.getpeercert` tells, verified by TLS: CN is the name, each O a group. `der`, the
    certificate itself, tells which one it was (KEP-4193)."""
    return _user_of_subject(certificate.get("subject", ()), certificate.get("der")) if certificate else None


@lru_cache(maxsize=1024)
def _user_of_subject(parts: tuple[tuple[tuple[str, str], ...], ...], der: bytes | None) -> User | None:
    subject = [pair for part in parts for pair in part]
    name = next((value for key, value in subject if key == "commonName"), "")
    groups = tuple(value for key, value in subject if key == "organizationName")
    extra = ((CREDENTIAL_ID, (f"X509SHA256={sha256(der).hexdigest()}",)),) if der else ()
    return authenticated(User(name, groups, extra=extra)) if name else None


def service_account_name(namespace: str, name: str) -> str:
    return f"{_SERVICE_ACCOUNT_PREFIX}{namespace}:{name}"


def service_account_groups(namespace: str) -> tuple[str, ...]:
    return (SERVICE_ACCOUNTS, f"{SERVICE_ACCOUNTS}:{namespace}")


def account_user(namespace: str, name: str) -> User:
    """A service account as RBAC sees it."""
    return User(service_account_name(namespace, name), (*service_account_groups(namespace), AUTHENTICATED))


def split_service_account(user_name: str) -> tuple[str, str] | None:
    """(namespace, name) of a service account's user name."""
    namespace, found, name = user_name.removeprefix(_SERVICE_ACCOUNT_PREFIX).partition(":")
    named = user_name.startswith(_SERVICE_ACCOUNT_PREFIX) and found and namespace and name and ":" not in name
    return (namespace, name) if named else None

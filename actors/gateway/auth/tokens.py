"""Bearer tokens that are no JWTs: static ones from a file, bootstrap tokens from Secrets of kube-system.

Secrets are compared in constant time, by their digests, so that neither length nor content can be measured.
"""

from __future__ import annotations

import base64
import binascii
import csv
import hashlib
import hmac
import re
from pathlib import Path
from typing import Any

from actors.api.clock import Millis, parse_time
from actors.api.codec import decode
from actors.api.errors import NotFound
from actors.api.key import Key
from actors.gateway.auth.jwt import TokenError
from actors.gateway.auth.user import User, authenticated
from actors.store.port import StorePort

BOOTSTRAP_FORM = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
_BOOTSTRAP_GROUP = "system:bootstrappers"
_EXTRA_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")
_BOOTSTRAP_TYPE = "bootstrap.kubernetes.io/token"
_COLUMNS_MIN = 3


class TokenFileError(Exception):
    """The file of static tokens cannot be used. The message says which line and what to do."""


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def same(one: str, other: str) -> bool:
    return hmac.compare_digest(digest(one), digest(other))


class StaticTokens:
    """Found by digest: no comparison depends on how much of a token is right."""

    def __init__(self, users: dict[bytes, User]) -> None:
        self._users = users

    @classmethod
    def read(cls, path: Path) -> StaticTokens:
        """Of lines `TOKEN,USER,UID,"GROUP,GROUP"`. Raises TokenFileError."""
        try:
            rows = list(csv.reader(path.read_text().splitlines()))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise TokenFileError(f"cannot read the tokens in {path}: {error}; see authentication.token_file") from error
        users: dict[bytes, User] = {}
        for number, row in enumerate(rows, 1):
            if not row:
                continue
            cells = [cell.strip() for cell in row]
            if len(cells) < _COLUMNS_MIN or not cells[0] or not cells[1]:
                raise TokenFileError(f'{path}, line {number}: must be TOKEN,USER,UID or TOKEN,USER,UID,"GROUP,GROUP"')
            groups = tuple(filter(None, (cells[3] if len(cells) > _COLUMNS_MIN else "").split(",")))
            users[digest(cells[0])] = authenticated(User(cells[1], groups, cells[2]))
        return cls(users)

    def user_of(self, token: str) -> User | None:
        return self._users.get(digest(token))


async def bootstrap_user(store: StorePort, token: str, now: Millis) -> User | None:
    """None for what has not the form of a bootstrap token. Raises TokenError."""
    match = BOOTSTRAP_FORM.fullmatch(token)
    if match is None:
        return None
    token_id, secret = match.groups()
    try:
        stored = await store.get(Key("secrets", "kube-system", f"bootstrap-token-{token_id}"))
    except NotFound:
        same(secret, "-")
        raise TokenError("there is no such bootstrap token") from None
    obj = decode(stored)
    data = _texts(obj.get("data"))
    fits = same(secret, data.get("token-secret", "")) & same(token_id, data.get("token-id", ""))
    if obj.get("type") != _BOOTSTRAP_TYPE or not fits or "deletionTimestamp" in obj["metadata"]:
        raise TokenError("there is no such bootstrap token")
    if _has_expired(data.get("expiration", ""), now) or data.get("usage-bootstrap-authentication") != "true":
        raise TokenError("the bootstrap token has expired or is not for authentication")
    extra = tuple(filter(None, (group.strip() for group in data.get("auth-extra-groups", "").split(","))))
    if not all(map(_EXTRA_GROUP.fullmatch, extra)):
        raise TokenError("the bootstrap token has groups that are none of bootstrappers")
    return authenticated(User(f"system:bootstrap:{token_id}", tuple(dict.fromkeys((_BOOTSTRAP_GROUP, *extra)))))


def _texts(data: Any) -> dict[str, str]:
    """Of a Secret's `data`; what is not base64 of UTF-8 is left out."""
    found = {}
    for name, value in (data or {}).items():
        try:
            found[name] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, ValueError, TypeError):
            continue
    return found


def _has_expired(text: str, now: Millis) -> bool:
    """An expiry that cannot be read has passed."""
    if not text:
        return False
    try:
        return parse_time(text) <= now
    except ValueError:
        return True

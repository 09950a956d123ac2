"""Continue tokens: the store's cursor, and when it was given out. Pure.

A token is good for as long as kube-apiserver's commonly is, however much longer history is kept: clients that page
slowly meet the end of a token here as they do there, and go on with the token that comes with the refusal.
"""

from __future__ import annotations

from actors.api.clock import Millis
from actors.api.errors import BadRequest
from actors.store.reading import expired_page


def seal(cursor: str, now: Millis) -> str:
    """The token of a cursor; "" for none."""
    return f"{cursor}.{now // 1000:x}" if cursor else ""


def unseal(token: str, now: Millis, seconds_max: int) -> str:
    """The cursor of a token; one without a time never grows old. Raises Expired, BadRequest."""
    cursor, dot, issued = token.rpartition(".")
    if not dot:
        return token
    try:
        age = now // 1000 - int(issued, 16)
    except ValueError as error:
        raise BadRequest(f"invalid continue token: continue key is not valid: {error}") from error
    if age > seconds_max:
        raise expired_page(cursor)
    return cursor

"""`url("https://a.b:80/c?d=e").getHost()` and its parts; `isURL`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import SplitResult, parse_qs, quote, unquote, urlsplit

from actors.api.cel.functions.declare import BOOL, MAP, STRING, Function, member, tagged, untag


def _parse(text: str) -> SplitResult:
    """An absolute URI or an absolute path (Go's url.ParseRequestURI). Raises ValueError."""
    parts = urlsplit(text)
    if not text or not (parts.scheme or text.startswith("/")) or any(char.isspace() for char in text):
        raise ValueError(
            f"URL parse error during conversion from string: parse {text[:100]!r}: invalid URI for request"
        )
    _ = parts.port
    return parts


def _is_url(text: str) -> bool:
    try:
        _parse(text)
    except ValueError:
        return False
    return True


def _url(text: str) -> dict[str, Any]:
    _parse(text)
    return tagged("url", text)


def _getter(part: Callable[[SplitResult], Any]) -> Callable[[Any], Any]:
    return lambda value: part(_parse(untag(value, "url")))


def _host(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


FUNCTIONS = (
    Function("url", (STRING,), MAP, _url),
    Function("isURL", (STRING,), BOOL, _is_url),
    member("getScheme", (MAP,), STRING, _getter(lambda parts: parts.scheme)),
    member("getHost", (MAP,), STRING, _getter(_host)),
    member("getHostname", (MAP,), STRING, _getter(lambda parts: parts.hostname or "")),
    member("getPort", (MAP,), STRING, _getter(lambda parts: str(parts.port) if parts.port is not None else "")),
    member("getEscapedPath", (MAP,), STRING, _getter(lambda parts: quote(unquote(parts.path), safe="/:@!$&'()*+,;=~"))),
    member("getQuery", (MAP,), MAP, _getter(lambda parts: parse_qs(parts.query, keep_blank_values=True))),
)

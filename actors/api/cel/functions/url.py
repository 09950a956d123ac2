"""`url("https://a.b:80/c?d=e").getHost()` and its parts; `isURL` (apiserver pkg/cel/library/urls.go)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import SplitResult, parse_qs, quote, unquote, urlsplit

from actors.api.cel.functions.declare import BOOL, MAP, STRING, Function, member, opaque, traversal
from actors.api.cel.functions.network import can

URL = opaque("kubernetes.URL")


@dataclass(slots=True, frozen=True)
class Url:
    text: str
    parts: SplitResult
    type_name: ClassVar[str] = "kubernetes.URL"


def _parse(text: str) -> Url:
    """An absolute URI or an absolute path (Go's url.ParseRequestURI). Raises ValueError."""
    parts = urlsplit(text)
    if not text or not (parts.scheme or text.startswith("/")) or any(char.isspace() for char in text):
        raise ValueError(
            f'URL parse error during conversion from string: parse "{text[:100]}": invalid URI for request'
        )
    _ = parts.port
    return Url(text, parts)


def _getter(part: Callable[[SplitResult], Any]) -> Callable[[Url], Any]:
    return lambda value: part(value.parts)


def _host(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]


FUNCTIONS = (
    Function("url", (STRING,), URL, _parse, cost=traversal()),
    Function("isURL", (STRING,), BOOL, can(_parse), cost=traversal()),
    member("getScheme", (URL,), STRING, _getter(lambda parts: parts.scheme)),
    member("getHost", (URL,), STRING, _getter(_host)),
    member("getHostname", (URL,), STRING, _getter(lambda parts: parts.hostname or "")),
    member("getPort", (URL,), STRING, _getter(lambda parts: str(parts.port) if parts.port is not None else "")),
    member("getEscapedPath", (URL,), STRING, _getter(lambda parts: quote(unquote(parts.path), safe="/:@!$&'()*+,;=~"))),
    member(
        "getQuery",
        (URL,),
        MAP,
        _getter(lambda parts: parse_qs(parts.query, keep_blank_values=True)),
    ),
)

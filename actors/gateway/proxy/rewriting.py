"""Paths in answers, so that they lead through the proxy again: of redirects, and in HTML. Pure.

apimachinery pkg/util/proxy/transport.go. Only what stays on the same host and begins at its root is changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit, urlunsplit

import msgspec

#: Attributes that hold a URL, by element (html/atom's table in transport.go).
_LINKED = (
    "a:href applet:codebase area:href audio:src base:href blockquote:cite body:background button:formaction "
    "command:icon del:cite embed:src form:action frame:longdesc frame:src head:profile html:manifest iframe:longdesc "
    "iframe:src img:longdesc img:src img:usemap input:formaction input:src input:usemap ins:cite link:href "
    "object:classid object:codebase object:data object:usemap q:cite script:src source:src track:src video:poster "
    "video:src"
)
_ATTRIBUTES = frozenset(_LINKED.split())
_TAG = re.compile(r"<([a-zA-Z][a-zA-Z0-9]*)((?:[^>\"']|\"[^\"]*\"|'[^']*')*)>")
_ATTRIBUTE = re.compile(r"(\s)([a-zA-Z-]+)(\s*=\s*)(\"[^\"]*\"|'[^']*')")


class Rewriter(msgspec.Struct, frozen=True):
    """`prefix`: the path of the proxy, without a slash at its end. `hosts`: what the client and the target call it."""

    prefix: str
    hosts: tuple[str, ...]

    def rewrite(self, url: str) -> str:
        try:
            parts = urlsplit(url)
        except ValueError:
            return url
        if (parts.netloc and parts.netloc not in self.hosts) or not parts.path.startswith("/"):
            return url
        if parts.path == self.prefix or parts.path.startswith(f"{self.prefix}/"):
            return urlunsplit(("", "", parts.path, parts.query, parts.fragment))
        return urlunsplit(("", "", self.prefix + parts.path, parts.query, parts.fragment))

    def rewrite_html(self, text: str) -> str:
        return _TAG.sub(self._rewrite_tag, text)

    def _rewrite_tag(self, tag: re.Match[str]) -> str:
        element = tag[1].lower()

        def replace(found: re.Match[str]) -> str:
            if f"{element}:{found[2].lower()}" not in _ATTRIBUTES:
                return found[0]
            quote = found[4][0]
            return f"{found[1]}{found[2]}{found[3]}{quote}{self.rewrite(found[4][1:-1])}{quote}"

        return f"<{tag[1]}{_ATTRIBUTE.sub(replace, tag[2])}>"


#: What is between two neighbours on the way, and not between the ends (RFC 9110 7.6.1).
HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
#: Who the client is to the gateway is no business of what it talks to.
_SECRETS = ("authorization", "impersonate-")

Headers = list[tuple[str, str]]


def end_to_end(headers: Iterable[tuple[str, str]]) -> Headers:
    """Without those that are for the next hop only, which `Connection` may name."""
    kept = list(headers)
    named = {word.strip().lower() for name, value in kept if name.lower() == "connection" for word in value.split(",")}
    return [(name, value) for name, value in kept if name.lower() not in HOP_BY_HOP | named]


def forwarded(headers: Iterable[tuple[str, str]], path: str, remote: str, *, upgrade: bool = False) -> Headers:
    """Of the request as it goes on: without credentials, and with word of who asked for what."""
    given = [(name, value) for name, value in headers if not name.lower().startswith(_SECRETS)]
    host = next((value for name, value in given if name.lower() == "host"), "")
    before = [value for name, value in given if name.lower() == "x-forwarded-for"]
    dropped = {"host", "x-forwarded-for", "x-forwarded-uri", "x-forwarded-host", "x-forwarded-proto", "expect"}
    passed = given if upgrade else end_to_end(given)
    return [
        *((name, value) for name, value in passed if name.lower() not in dropped),
        ("X-Forwarded-For", ", ".join([*before, remote])),
        ("X-Forwarded-Uri", path),
        ("X-Forwarded-Host", host),
        ("X-Forwarded-Proto", "https"),
    ]

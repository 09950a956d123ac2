"""What a request is about, read from its method and path alone (apiserver pkg/endpoints/request/requestinfo.go).

Pure. The path is the raw one of the request line: segments are split before they are unquoted, so an encoded
slash or dot-dot never becomes a separator.
"""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import unquote_to_bytes

import msgspec

from actors.api.errors import BadRequest, MethodNotAllowed, NotFound

_READING = ("GET", "HEAD")
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_NO_RESOURCE = "the server could not find the requested resource"


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """`plural` "" is a path that names no resource (discovery, health, ...), then `segments` is the whole path.

    `verb` is RBAC's: get, list, watch, create, update, patch, delete, deletecollection. `rest`: of a proxied request,
    the path behind the subresource as it came. `is_old_watch`: the path says that it is a watch (`/api/v1/watch/pods`,
    deprecated), the query need not. `selected`: of a list or watch, the one name that its field selector lets through;
    `fields`: the (field, value) pairs that it asks for.
    """

    verb: str
    path: str
    segments: tuple[str, ...] = ()
    group: str = ""
    version: str = ""
    namespace: str = ""
    plural: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""
    is_old_watch: bool = False
    selected: str = ""
    fields: tuple[tuple[str, str], ...] = ()

    @property
    def resource(self) -> str:
        """GroupResource as text, as in Key.resource."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


def parse_target(method: str, raw_path: str, is_watch: bool) -> Target:
    """Of `GET`, `/api/v1/namespaces/x/pods`. Raises BadRequest, NotFound for paths that cannot name anything."""
    known = _parse_known if len(raw_path) <= _KNOWN_CHARS_MAX else _parse
    return known(method, raw_path, is_watch)


def _parse(method: str, raw_path: str, is_watch: bool) -> Target:
    raw_path, proxied = _split_proxied(raw_path)
    segments = _segments(raw_path)
    head, rest = _split_group(segments)
    if head is None or not rest:
        verb = "get" if method in _READING else _VERBS.get(method, method.lower())
        return Target(verb=verb, path="/" + "/".join(segments), segments=segments)
    if is_old_watch := rest[0] == "watch" and len(rest) > 1:
        rest = rest[1:]
        if method not in _READING:
            raise MethodNotAllowed("the server does not allow this method on the requested resource")
    namespace, parts = _split_namespace(rest)
    if len(parts) > 3:
        raise NotFound(_NO_RESOURCE)
    plural, name, subresource = (*parts, "", "", "")[:3]
    return Target(
        verb="watch" if is_old_watch else _verb(method, name, is_watch),
        is_old_watch=is_old_watch,
        path="/" + "/".join(segments),
        segments=segments,
        group=head[0],
        version=head[1],
        namespace=namespace,
        plural=plural,
        name=name,
        subresource=subresource,
        rest=proxied,
    )


#: Clients ask for the same few paths again and again.
_parse_known = lru_cache(maxsize=4096)(_parse)
_KNOWN_CHARS_MAX = 256


def _split_proxied(raw_path: str) -> tuple[str, str]:
    """What comes behind `.../proxy` is the target's own business: it is not unquoted, nor looked at."""
    parts = raw_path.split("?", 1)[0].split("/")
    if parts[:2] == ["", "api"]:
        at = 7 if parts[3:4] == ["namespaces"] else 5
        if parts[at : at + 1] == ["proxy"] and len(parts) > at + 1:
            return "/".join(parts[: at + 1]), "/" + "/".join(parts[at + 1 :])
    return raw_path, ""


def _segments(raw_path: str) -> tuple[str, ...]:
    parts = [part for part in raw_path.split("?", 1)[0].split("/") if part]
    try:
        segments = tuple(unquote_to_bytes(part).decode("utf-8") for part in parts)
    except UnicodeDecodeError as error:
        raise BadRequest("the path is not UTF-8") from error
    for segment in segments:
        if segment in (".", "..") or "/" in segment or "%" in segment or not segment.isprintable():
            raise BadRequest(f"invalid path segment {segment!r}: may not be '.' or '..' or contain '/' or '%'")
    return segments


def _split_group(segments: tuple[str, ...]) -> tuple[tuple[str, str] | None, tuple[str, ...]]:
    if len(segments) >= 2 and segments[0] == "api":
        return ("", segments[1]), segments[2:]
    if len(segments) >= 3 and segments[0] == "apis":
        return (segments[1], segments[2]), segments[3:]
    return None, ()


def _split_namespace(rest: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """`namespaces/x` alone is the namespace; `namespaces/x/status` its subresource; else x holds the resource."""
    if rest[0] == "namespaces" and len(rest) >= 3 and rest[2] not in ("status", "finalize", "history"):
        return rest[1], rest[2:]
    return "", rest


def _verb(method: str, name: str, is_watch: bool) -> str:
    """Of one object `watch` in the query means nothing."""
    if method in _READING:
        if name:
            return "get"
        return "watch" if is_watch else "list"
    if method == "DELETE" and not name:
        return "deletecollection"
    return _VERBS.get(method, method.lower())

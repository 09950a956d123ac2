"""Paths that name no resource: discovery, OpenAPI, version, health. Documents are made once, gzipped and tagged.

A document of OpenAPI 3 is named by the hash of its content, so that clients may keep it for ever (KEP-2896). OpenAPI's
are made in a thread, as the first of them takes a third of a second, in which others are answered.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from asyncio import to_thread
from collections.abc import Callable
from email.utils import formatdate
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from aiohttp import web

from actors.api.errors import NotFound
from actors.gateway import discovery, openapi
from actors.gateway.call import JSON_TYPE, YAML_TYPE, Call
from actors.gateway.compression import accepts_gzip
from actors.gateway.health import ENDPOINTS, read_health
from actors.gateway.media import DISCOVERY_FORMS, PLAIN_FORMS, Form
from actors.gateway.openapi import is_custom
from actors.gateway.openapi.gnostic_v2 import encode_v2
from actors.gateway.openapi.gnostic_v3 import encode_v3
from actors.gateway.options import text_of
from actors.gateway.render import encode, yaml_bytes
from actors.gateway.served import STATIC, Served
from actors.gateway.telemetry.page import read_page
from actors.gateway.token_requests import read_jwks, read_openid_configuration

_NOT_FOUND = "the server could not find the requested resource"
_GZIP_BYTES_MIN = 16 * 1024
_KEEP_SECONDS = 365 * 24 * 3600
#: How OpenAPI is asked for in protobuf, in an older and a newer way, and how it is answered.
_PROTOBUF = re.compile(r"application/com\.github\.proto-openapi\.spec\.v[23][@.]v1\.0\+protobuf")
_V2_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
_V3_TYPE = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf"


class Document:
    """What is sent for a path. A large one is kept compressed only, as nearly every client takes it so."""

    def __init__(self, body: bytes) -> None:
        self.etag = hashlib.sha256(body).hexdigest()[:32].upper()
        self._small = body if len(body) <= _GZIP_BYTES_MIN else b""
        self.zipped = b"" if self._small else gzip.compress(body, 6, mtime=0)

    @property
    def body(self) -> bytes:
        return self._small or gzip.decompress(self.zipped)


@lru_cache(maxsize=256)
def _document(make: Callable[..., Any], *args: Any) -> Document:
    made = make(*args)
    return Document(made if isinstance(made, bytes) else encode(made))


def _v2_protobuf(served: Served) -> bytes:
    return encode_v2(openapi.v2_document(served))


def _v3(path: str, served: Served) -> Document:
    return _document(openapi.v3_document, path, served if is_custom(path, served) else STATIC)


def _v3_protobuf(path: str, served: Served) -> bytes:
    return encode_v3(openapi.v3_document(path, served))


def _v3_root(served: Served) -> dict[str, Any]:
    """`/openapi/v3`."""
    urls = {path: f"/openapi/v3/{path}?hash={_v3(path, served).etag}" for path in openapi.v3_paths(served)}
    for (group, version), found in served.remote.items():
        if found.openapi:
            path = f"apis/{group}/{version}"
            urls[path] = f"/openapi/v3/{path}?hash={found.openapi}"
    return {"paths": {path: {"serverRelativeURL": url} for path, url in urls.items()}}


async def read_document(call: Call) -> web.StreamResponse:
    """Raises NotFound for every other path."""
    segments = call.target.segments
    served = await _served(call)
    match segments:
        case ():
            return call.answer_value({"paths": _paths(served)})
        case ("version",):
            return call.answer_value(discovery.VERSION)
        case (endpoint, *rest) if endpoint in ENDPOINTS:
            return await read_health(call, endpoint, rest)
        case ("metrics",):
            return read_page(call)
        case ("api",):
            return _discover(call, _document(discovery.api_versions, ""), served, core=True)
        case ("apis",):
            return _discover(call, _document(discovery.group_list, served), served, core=False)
        case ("apis", group):
            return _plain(call, _document(discovery.group_document, group, served))
        case ("api", version):
            return _plain(call, _document(discovery.resource_list, "", version))
        case ("apis", group, version):
            return _plain(call, _document(discovery.resource_list, group, version, served))
        case ("openapi", "v2") if _wants_protobuf(call):
            return _send(call, await to_thread(_document, _v2_protobuf, served), Form.JSON, _V2_TYPE)
        case ("openid", "v1", "jwks"):
            return read_jwks(call)
        case (".well-known", "openid-configuration"):
            return read_openid_configuration(call)
        case ("openapi", "v2"):
            return _plain(call, await to_thread(_document, openapi.v2_document, served))
        case ("openapi", "v3"):
            return _plain(call, await to_thread(_document, _v3_root, served))
        case ("openapi", "v3", *rest):
            return await _v3_document(call, "/".join(rest), served)
    raise NotFound(_NOT_FOUND)


async def _served(call: Call) -> Served:
    """Health is told without asking the store about custom kinds."""
    is_document = call.target.segments[:1] in ((), ("api",), ("apis",), ("openapi",))
    if not is_document:
        return STATIC
    served = await call.backend.custom.served()
    return call.backend.aggregator.merged(served) if call.backend.aggregator is not None else served


def _paths(served: Served) -> list[str]:
    fixed = [
        "/.well-known/openid-configuration",
        "/api",
        "/apis",
        "/healthz",
        "/livez",
        "/metrics",
        "/openapi/v2",
        "/openapi/v3",
        "/openid/v1/jwks",
        "/readyz",
        "/version",
    ]
    paths = [f"/{path}" for path in openapi.v3_paths(served)]
    paths += [f"/apis/{group}/{version}" for group, version in served.remote]
    groups = {"/".join(path.split("/")[:3]) for path in paths if path.startswith("/apis/")}
    return sorted({*fixed, *paths, *groups})


def _discover(call: Call, plain: Document, served: Served, *, core: bool) -> web.StreamResponse:
    form = call.form(DISCOVERY_FORMS)
    if form is not Form.DISCOVERY:
        return _send(call, plain, form)
    document = _document(discovery.aggregated, core, STATIC if core else served)
    return _send(call, document, form, discovery.AGGREGATED_TYPE)


def _plain(call: Call, document: Document) -> web.StreamResponse:
    return _send(call, document, call.form(PLAIN_FORMS))


def _wants_protobuf(call: Call) -> bool:
    """Whether it is what the client would rather have."""
    wanted = call.request.headers.get("Accept", "").split(",")[0].partition(";")[0].strip()
    return _PROTOBUF.fullmatch(wanted) is not None


async def _v3_document(call: Call, path: str, served: Served) -> web.StreamResponse:
    """Under its own hash it is good for ever; another hash leads to that. In protobuf it goes by the same hash."""
    document = await to_thread(_v3, path, served)
    asked = text_of(call.query, "hash")
    if asked and asked != document.etag:
        return web.Response(status=301, headers={"Location": f"/openapi/v3/{quote(path)}?hash={document.etag}"})
    if _wants_protobuf(call):
        of = served if is_custom(path, served) else STATIC
        response = _send(call, await to_thread(_document, _v3_protobuf, path, of), Form.JSON, _V3_TYPE)
    else:
        response = _plain(call, document)
    if asked:
        response.headers["Cache-Control"] = "public, immutable"
        response.headers["Expires"] = formatdate(call.now / 1000 + _KEEP_SECONDS, usegmt=True)
    return response


def _send(call: Call, document: Document, form: Form, content_type: str = JSON_TYPE) -> web.StreamResponse:
    tag = f'"{document.etag}"'
    if tag in call.request.headers.get("If-None-Match", ""):
        response = web.Response(status=304)
    elif form is Form.YAML:
        response = call.answer(yaml_bytes(document.body), content_type=YAML_TYPE)
    elif document.zipped and accepts_gzip(call.request):
        response = call.answer(document.zipped, content_type=content_type)
        response.headers["Content-Encoding"] = "gzip"
    else:
        response = call.answer(document.body, content_type=content_type)
    response.headers["ETag"] = tag
    response.headers["Vary"] = "Accept, Accept-Encoding"
    return response

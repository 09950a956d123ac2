"""Paths that name no resource: discovery, OpenAPI, version, health. Documents are made once, gzipped and tagged."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from aiohttp import web

from actors.api.errors import ApiError, NotFound
from actors.gateway import discovery, openapi
from actors.gateway.call import JSON_TYPE, TEXT_TYPE, YAML_TYPE, Call
from actors.gateway.media import DISCOVERY_FORMS, PLAIN_FORMS, Form
from actors.gateway.openapi import is_custom
from actors.gateway.render import encode, yaml_bytes
from actors.gateway.served import STATIC, Served
from actors.gateway.token_requests import read_jwks, read_openid_configuration
from actors.reconcile.watch import Selection

_NOT_FOUND = "the server could not find the requested resource"
_CHECK_SECONDS = 3
_GZIP_BYTES_MIN = 16 * 1024
#: kubectl asks for version 2 in this form only, and only about kinds that version 3 does not know: an empty document
#: (`swagger: "2.0"`) lets it say so itself.
_V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2"
_V2_TYPE = f"{_V2_PROTOBUF}.v1.0+protobuf"
_V2_EMPTY = b"\x0a\x032.0"


class Document(NamedTuple):
    body: bytes
    zipped: bytes
    etag: str


@lru_cache(maxsize=256)
def _document(make: Callable[..., Any], *args: Any) -> Document:
    body = encode(make(*args))
    return Document(body, gzip.compress(body, 6, mtime=0), f'"{hashlib.sha256(body).hexdigest()[:32].upper()}"')


async def read_document(call: Call) -> web.StreamResponse:
    """Raises NotFound for every other path."""
    segments = call.target.segments
    served = await _served(call)
    match segments:
        case ():
            return call.answer_value({"paths": _paths(served)})
        case ("version",):
            return call.answer_value(discovery.VERSION)
        case ("healthz" | "livez" | "readyz", *rest):
            return await _health(call, segments[0], rest)
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
        case ("openapi", "v2") if _V2_PROTOBUF in call.request.headers.get("Accept", ""):
            return call.answer(_V2_EMPTY, content_type=_V2_TYPE)
        case ("openid", "v1", "jwks"):
            return read_jwks(call)
        case (".well-known", "openid-configuration"):
            return read_openid_configuration(call)
        case ("openapi", "v2"):
            return _plain(call, _document(openapi.v2_document, served))
        case ("openapi", "v3"):
            return _plain(call, _document(openapi.v3_root, served))
        case ("openapi", "v3", *rest):
            path = "/".join(rest)
            return _plain(call, _document(openapi.v3_document, path, served if is_custom(path, served) else STATIC))
    raise NotFound(_NOT_FOUND)


async def _served(call: Call) -> Served:
    """Health is told without asking the store about custom kinds."""
    is_document = call.target.segments[:1] in ((), ("api",), ("apis",), ("openapi",))
    return await call.backend.custom.served() if is_document else STATIC


def _paths(served: Served) -> list[str]:
    fixed = [
        "/.well-known/openid-configuration",
        "/api",
        "/apis",
        "/healthz",
        "/livez",
        "/openapi/v2",
        "/openapi/v3",
        "/openid/v1/jwks",
        "/readyz",
        "/version",
    ]
    paths = [f"/{path}" for path in openapi.v3_paths(served)]
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


def _send(call: Call, document: Document, form: Form, content_type: str = JSON_TYPE) -> web.StreamResponse:
    headers = call.request.headers
    if document.etag in headers.get("If-None-Match", ""):
        response = web.Response(status=304)
    elif form is Form.YAML:
        response = call.answer(yaml_bytes(document.body), content_type=YAML_TYPE)
    elif "gzip" in headers.get("Accept-Encoding", "") and len(document.body) > _GZIP_BYTES_MIN:
        response = call.answer(document.zipped, content_type=content_type)
        response.headers["Content-Encoding"] = "gzip"
    else:
        response = call.answer(document.body, content_type=content_type)
    response.headers["ETag"] = document.etag
    response.headers["Vary"] = "Accept, Accept-Encoding"
    return response


async def _health(call: Call, name: str, rest: list[str]) -> web.StreamResponse:
    """As kube-apiserver's: `ok`, or with `?verbose` every check; 500 when one fails. livez asks nobody else."""
    checks = {"ping": _ping} if name == "livez" else {"ping": _ping, "store": _check_store}
    if rest:
        if len(rest) > 1 or rest[0] not in checks:
            raise NotFound(_NOT_FOUND)
        checks = {rest[0]: checks[rest[0]]}
    failures = {check: why for check, ask in checks.items() if (why := await ask(call))}
    if not failures and "verbose" not in call.query:
        return call.answer(b"ok", content_type=TEXT_TYPE)
    lines = [f"[-]{check} failed: {failures[check]}" if check in failures else f"[+]{check} ok" for check in checks]
    lines.append(f"{name} check {'failed' if failures else 'passed'}")
    return call.answer("\n".join(lines).encode() + b"\n", 500 if failures else 200, TEXT_TYPE)


async def _ping(call: Call) -> str:
    return ""


async def _check_store(call: Call) -> str:
    try:
        async with asyncio.timeout(_CHECK_SECONDS):
            await call.store.list(Selection(("namespaces",)), limit=1)
    except TimeoutError:
        return "the store does not answer"
    except ApiError as error:
        return error.message
    return ""

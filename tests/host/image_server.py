"""A registry of the tests' own, for what docker-registry never does: tokens, redirects, broken connections, lies.

async with serve() as server:
    reference = server.add("train", "1", [{"a": b"1"}])
"""

from __future__ import annotations

import gzip
import json
import re
import ssl
from base64 import b64decode
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from aiohttp import web
from registry_fixture import digest_of, free_port, make_layer

OCI = "application/vnd.oci.image"


class ImageServer:
    """`requests` records (method, path, headers). The knobs below make it misbehave."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.host_port = f"127.0.0.1:{port}"
        self.manifests: dict[str, tuple[bytes, str]] = {}
        self.blobs: dict[str, bytes] = {}
        self.requests: list[tuple[str, str, Mapping[str, str]]] = []
        self.user: tuple[str, str] | None = None  # of the token service
        self.refresh_token = ""
        self.token = "let-me-in"
        self.realm = f"http://{self.host_port}/token"
        self.tokens_issued = 0
        self.redirect_blobs_to = ""
        self.break_after_bytes: list[int] = []  # one per connection
        self.ignore_ranges = False
        self.statuses: list[int] = []  # answered instead, one per request

    def add(
        self,
        name: str,
        tag: str,
        layers: Sequence[Mapping[str, bytes] | bytes],
        *,
        diff_ids: Sequence[str] = (),
        digests: Sequence[str] = (),
        architecture: str = "amd64",
        size: int | None = None,
    ) -> str:
        """An image of layers (bytes: a tar). `diff_ids`, `digests` and `size` are lies to tell."""
        tars = [make_layer(layer) if isinstance(layer, Mapping) else layer for layer in layers]
        blobs = [gzip.compress(tar, 1) for tar in tars]
        config = json.dumps(
            {
                "os": "linux",
                "architecture": architecture,
                "rootfs": {"diff_ids": list(diff_ids) or [digest_of(tar) for tar in tars]},
            }
        ).encode()
        names = list(digests) or [digest_of(blob) for blob in blobs]
        self.blobs |= {digest_of(config): config, **dict(zip(names, blobs, strict=True))}
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{OCI}.manifest.v1+json",
            "config": {"digest": digest_of(config), "size": len(config)},
            "layers": [
                {"digest": digest, "size": len(blob) if size is None else size}
                for digest, blob in zip(names, blobs, strict=True)
            ],
        }
        return self.add_document(name, tag, manifest)

    def add_document(self, name: str, tag: str, document: Mapping[str, object] | bytes) -> str:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        for version in (tag, digest_of(body)):
            self.manifests[f"{name}/{version}"] = (body, f"{OCI}.manifest.v1+json")
        return f"{self.host_port}/{name}:{tag}"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.method, request.path, request.headers))
        if request.path == "/token":
            return await self._token(request)
        if self.statuses and (status := self.statuses.pop(0)) != 200:
            return web.Response(status=status, text="not now")
        if (self.user or self.refresh_token) and request.headers.get("Authorization") != f"Bearer {self.token}":
            challenge = f'Bearer realm="{self.realm}",service="tests",scope="repository:train:pull"'
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})
        found = re.fullmatch(r"/v2/(.+)/(manifests|blobs)/([^/]+)", request.path)
        if found is None:
            return web.Response(status=404)
        name, kind, version = found.groups()
        if kind == "manifests":
            body, media_type = self.manifests.get(f"{name}/{version}", (b"", ""))
            return web.Response(body=body, content_type=media_type) if body else web.Response(status=404)
        if self.redirect_blobs_to:
            return web.Response(status=307, headers={"Location": f"{self.redirect_blobs_to}{request.path}"})
        return await self._blob(request, version)

    async def _token(self, request: web.Request) -> web.Response:
        self.tokens_issued += 1
        if request.method == "POST":
            form = await request.post()
            ok = form.get("refresh_token") == self.refresh_token and form.get("service") == "tests"
            return web.json_response({"access_token": self.token}) if ok else web.Response(status=401)
        header = request.headers.get("Authorization", "Basic Og==").removeprefix("Basic ")
        user, _, password = b64decode(header).decode().partition(":")
        assert request.query["scope"] == "repository:train:pull"
        return web.json_response({"token": self.token}) if (user, password) == self.user else web.Response(status=401)

    async def _blob(self, request: web.Request, digest: str) -> web.StreamResponse:
        blob = self.blobs.get(digest)
        if blob is None:
            return web.Response(status=404)
        start = 0 if self.ignore_ranges else int(request.headers.get("Range", "bytes=0-")[6:-1])
        headers = {"Content-Range": f"bytes {start}-{len(blob) - 1}/{len(blob)}"} if start else {}
        response = web.StreamResponse(status=206 if start else 200, headers=headers)
        response.content_length = len(blob) - start
        await response.prepare(request)
        cut = self.break_after_bytes.pop(0) if self.break_after_bytes else len(blob)
        await response.write(blob[start : start + cut])
        if cut < len(blob) - start and request.transport is not None:
            request.transport.close()
        return response


@asynccontextmanager
async def serve(tls: ssl.SSLContext | None = None) -> AsyncIterator[ImageServer]:
    server = ImageServer(free_port())
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", server.port, ssl_context=tls).start()
        yield server
    finally:
        await runner.cleanup()

"""The OCI distribution protocol's pull half: manifests and blobs of one repository.

What leaves this file has the digest and size that were asked for (`blob` streams: its consumer hashes). A broken
connection is resumed with Range where it broke; a registry that is away or busy is asked again with back-off.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import aiohttp
from yarl import URL

from actors.plugins.image import auth as authorization
from actors.plugins.image.config import ImagesConfig
from actors.plugins.image.faults import Corrupt, ImageFault, NotPullable, Unreachable
from actors.plugins.image.manifest import ACCEPT, DOCUMENT_BYTES_MAX, Descriptor
from actors.plugins.image.port import Auth
from actors.plugins.image.reference import Reference
from actors.plugins.image.transport import Transport, network_faults

_CHUNK_BYTES = 1 << 18
_ENDPOINTS = {"docker.io": "registry-1.docker.io"}

T = TypeVar("T")


def digest_of(body: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, body).hexdigest()}"


class Registry:
    """The repository of one reference, for the time of one pull."""

    def __init__(self, reference: Reference, transport: Transport, config: ImagesConfig, auth: Auth | None) -> None:
        self._reference, self._transport, self._config = reference, transport, config
        endpoint = _ENDPOINTS.get(reference.host, reference.host)
        scheme = "http" if transport.allows_http(reference.host) else "https"
        self._root = URL(f"{scheme}://{endpoint}/v2/{reference.path}/", encoded=True)
        self._auth = auth
        self._authorization = ""
        self._authorizing = asyncio.Lock()

    async def manifest(self, version: str) -> tuple[bytes, str]:
        """The document of a tag or digest, and its digest. Raises NotPullable, Corrupt, Unreachable."""
        body = await self._retrying(lambda: self._document(f"manifests/{version}", {"Accept": ACCEPT}))
        wanted = version if ":" in version else ""
        found = digest_of(body, wanted.partition(":")[0] or "sha256")
        if wanted and found != wanted:
            raise Corrupt(f"the registry {self._reference.host} sends a manifest {found} where {wanted} was asked for")
        return body, found

    async def document(self, descriptor: Descriptor) -> bytes:
        """A small blob, whole and verified (the image config)."""
        body = await self._retrying(lambda: self._document(f"blobs/{descriptor.digest}", {}))
        found = digest_of(body, descriptor.digest.partition(":")[0])
        if found != descriptor.digest:
            raise Corrupt(f"the registry {self._reference.host} sends {found} where {descriptor.digest} was asked for")
        return body

    async def blob(self, descriptor: Descriptor) -> AsyncGenerator[bytes]:
        """Exactly `descriptor.size` bytes in chunks, resumed over broken connections. Close it when you stop early."""
        offset = failures = 0
        while offset < descriptor.size:
            try:
                async for chunk in self._blob_from(descriptor, offset):
                    offset, failures = offset + len(chunk), 0
                    yield chunk
                if offset < descriptor.size:
                    raise Unreachable(f"blob {descriptor.digest} broke off after {offset} of {descriptor.size} bytes")
            except Unreachable as fault:
                failures += 1
                await self._back_off(failures, fault)

    async def _blob_from(self, descriptor: Descriptor, offset: int) -> AsyncIterator[bytes]:
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        async with self._open(f"blobs/{descriptor.digest}", headers) as response:
            skip = _bytes_to_skip(response, descriptor, offset)
            with network_faults(response.url):
                async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
                    rest, skip = chunk[skip:], max(0, skip - len(chunk))
                    offset += len(rest)
                    if offset > descriptor.size:
                        raise Corrupt(f"blob {descriptor.digest} is longer than its {descriptor.size} bytes")
                    if rest:
                        yield rest

    async def _document(self, path: str, headers: Mapping[str, str]) -> bytes:
        async with self._open(path, headers) as response:
            body = bytearray()
            with network_faults(response.url):
                async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
                    body += chunk
                    if len(body) > DOCUMENT_BYTES_MAX:
                        raise Corrupt(f"{path} of {self._reference} is larger than {DOCUMENT_BYTES_MAX} bytes: refused")
            return bytes(body)

    @asynccontextmanager
    async def _open(self, path: str, headers: Mapping[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        """A 200 or 206; every other status is a fault. A 401 is answered once."""
        url = URL(f"{self._root}{path}", encoded=True)
        for last in (False, True):
            used = self._authorization
            async with self._transport.open(
                "GET", url, {**headers, **({"Authorization": used} if used else {})}
            ) as response:
                if response.status != 401 or last:
                    await self._check_status(response, path)
                    yield response
                    return
                challenges = authorization.parse_challenges(response.headers.getall("WWW-Authenticate", []))
            await self._authorize(challenges, used)

    async def _authorize(self, challenges: list[authorization.Challenge], used: str) -> None:
        """Layers that meet a 401 together ask for one token together."""
        async with self._authorizing:
            if self._authorization != used or not challenges:
                return
            scope = f"repository:{self._reference.path}:pull"
            self._authorization = await authorization.answer(self._transport, challenges[0], self._credentials(), scope)

    def _credentials(self) -> Auth:
        """The caller's, else the configuration's."""
        settings = self._transport.settings(self._reference.host)
        if self._auth is not None or not settings.username:
            return self._auth or Auth()
        try:
            password = Path(settings.password_file).read_text().strip() if settings.password_file else ""
        except OSError as error:
            raise NotPullable(f"images.registries.{self._reference.host!r}.password_file: {error}") from error
        return Auth(settings.username, password)

    async def _check_status(self, response: aiohttp.ClientResponse, path: str) -> None:
        if response.status in (200, 206):
            return
        with network_faults(response.url):
            detail = (await response.content.read(400)).decode("utf-8", "replace").strip()
        raise self._fault(response.status, path, detail)

    def _fault(self, status: int, path: str, detail: str) -> ImageFault:
        host, repository = self._reference.host, self._reference.path
        if status in (401, 403):
            return NotPullable(
                f"the registry {host} does not let us read {repository} (it may not exist): name a pull secret in"
                f" imagePullSecrets, or set images.registries.{host!r}.username and .password_file"
            )
        if status == 404 and path.startswith("manifests/"):
            return NotPullable(f"the registry {host} has no {self._reference}: check the name and the tag")
        if status == 404:
            return Corrupt(f"the registry {host} has lost {path} of {self._reference}: push the image again")
        if status == 429 or status >= 500:
            return Unreachable(f"the registry {host} answers {status}: {detail}")
        return NotPullable(f"the registry {host} answers {status} for {self._reference}: {detail}")

    async def _retrying(self, call: Callable[[], Awaitable[T]]) -> T:
        failures = 0
        while True:
            try:
                return await call()
            except Unreachable as fault:
                failures += 1
                await self._back_off(failures, fault)

    async def _back_off(self, failures: int, fault: Unreachable) -> None:
        """Sleep before the next attempt, or raise the fault when it is enough."""
        if failures >= self._config.attempts_max:
            raise fault
        await asyncio.sleep(self._config.backoff_first_ms * 2 ** (failures - 1) / 1000)


def _bytes_to_skip(response: aiohttp.ClientResponse, descriptor: Descriptor, offset: int) -> int:
    """How much of this body we have already. Raises Corrupt when the blob's length cannot be right."""
    if response.status == 206:
        if not response.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
            raise Unreachable(f"the registry answers another range of {descriptor.digest} than was asked for")
        return 0
    length = response.content_length
    if length is not None and length != descriptor.size:
        raise Corrupt(
            f"blob {descriptor.digest} has {length} bytes at the registry and {descriptor.size} in the manifest:"
            " push the image again"
        )
    return offset

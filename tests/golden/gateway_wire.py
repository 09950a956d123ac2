"""HTTP conversations with the gateway without a socket: bytes in and out of aiohttp's protocol, a store whose ids and
clock are fixed, so that every byte of an answer can be written down."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec

from actors.gateway.app import App
from actors.gateway.auth import MASTERS
from actors.gateway.auth.access import Access
from actors.gateway.auth.jwt import key_id
from actors.gateway.auth.keys import KeyRing, SigningKey
from actors.gateway.call import Backend
from actors.gateway.config import GatewayConfig
from actors.gateway.fake import FakeCluster, FakeNodes
from actors.gateway.port import ActorHealth
from actors.store.fanout import WatchFanout
from actors.store.ids import SeededIds
from actors.store.local import LocalStore

#: 2026-11-23T10:00:00Z
START_MS = 1_795_428_000_000
ADMIN = {"subject": ((("organizationName", MASTERS),), (("commonName", "admin"),))}
_KEY = ec.derive_private_key(1, ec.SECP256R1())
KEYS = KeyRing((SigningKey(START_MS, key_id(_KEY.public_key()), _KEY),))
NOBODY = {"subject": ((("commonName", "nobody"),),)}


class MemoryTransport(asyncio.Transport):
    """Collects what the server writes."""

    def __init__(self, certificate: Mapping[str, Any] | None) -> None:
        super().__init__({"peercert": certificate, "peername": ("127.0.0.1", 1)})
        self.written = bytearray()
        self.closed = False
        self.news = asyncio.Event()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data
        self.news.set()

    def writelines(self, list_of_data: Any) -> None:
        for data in list_of_data:
            self.write(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True
        self.news.set()

    abort = close

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Answer:
    """Parsed from a whole HTTP reply."""

    def __init__(self, raw: bytes) -> None:
        head, _, rest = raw.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        self.code = int(lines[0].split(" ")[1])
        self.headers = dict(line.split(": ", 1) for line in lines[1:])
        self.body = _unchunk(rest) if self.headers.get("Transfer-Encoding") == "chunked" else rest

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def _unchunk(data: bytes) -> bytes:
    chunks = []
    while data:
        size, _, data = data.partition(b"\r\n")
        chunks.append(data[: int(size, 16)])
        data = data[int(size, 16) + 2 :]
    return b"".join(chunks)


class Wire:
    """One gateway. Inside a running loop."""

    def __init__(self, start_ms: int = START_MS, config: GatewayConfig | None = None) -> None:
        config = config or GatewayConfig()
        self.now_ms = start_ms
        self.store = LocalStore(ids=SeededIds(1), clock=lambda: self.now_ms)
        self.nodes = FakeNodes()
        self.cluster = FakeCluster(ActorHealth(name="raypod-store", alive=True, node="n1"))
        self.fanout = WatchFanout(self.store)
        keys = iter(range(10**9))
        backend = Backend(
            config,
            self.store,
            self.nodes,
            self.cluster,
            lambda: self.now_ms,
            lambda: f"key-{next(keys)}",
            self.fanout,
            Access(self.store, config.authentication, KEYS),
        )
        self.app = App(backend)
        self.server = web.Server(self.app, handler_cancellation=True, access_log=None)

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        media: str = "application/json",
        certificate: Mapping[str, Any] | None = ADMIN,
        **headers: str,
    ) -> Answer:
        connection = self.open(method, path, body, media, certificate, **headers)
        return Answer(await connection.wait(lambda raw: _is_whole(raw)))

    def open(
        self,
        method: str,
        path: str,
        body: Any = None,
        media: str = "application/json",
        certificate: Mapping[str, Any] | None = ADMIN,
        **headers: str,
    ) -> Connection:
        """The request is sent; what comes back is waited for by the caller."""
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        named = {"Host": "gateway", "User-Agent": "test/1", **{k.replace("_", "-"): v for k, v in headers.items()}}
        if content:
            named |= {"Content-Type": media, "Content-Length": str(len(content))}
        head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        transport = MemoryTransport(certificate)
        protocol = self.server()
        protocol.connection_made(transport)
        protocol.data_received(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + content)
        return Connection(transport, protocol)


class Connection:
    def __init__(self, transport: MemoryTransport, protocol: asyncio.Protocol) -> None:
        self._transport, self._protocol = transport, protocol

    async def wait(self, enough: Callable[[bytes], bool]) -> bytes:
        """What was written, once it is enough; then the client hangs up."""
        raw = await self.read(enough)
        self._protocol.connection_lost(None)
        await asyncio.sleep(0)
        return raw

    async def read(self, enough: Callable[[bytes], bool]) -> bytes:
        async with asyncio.timeout(10):
            while not enough(bytes(self._transport.written)) and not self._transport.closed:
                self._transport.news.clear()
                await self._transport.news.wait()
        return bytes(self._transport.written)

    async def events(self, count: int) -> list[dict[str, Any]]:
        """The first `count` events of a watch; the connection stays."""
        raw = await self.read(lambda raw: b"\r\n\r\n" in raw and len(_lines(raw)) >= count)
        return [json.loads(line) for line in _lines(raw)[:count]]

    @property
    def is_cut_off(self) -> bool:
        return self._transport.closed

    def hang_up(self) -> None:
        self._protocol.connection_lost(None)


def _is_whole(raw: bytes) -> bool:
    head, found, rest = raw.partition(b"\r\n\r\n")
    if not found:
        return False
    if b"Transfer-Encoding: chunked" in head:
        return rest.endswith(b"0\r\n\r\n")
    length = next((line for line in head.split(b"\r\n") if line.startswith(b"Content-Length: ")), b": 0")
    return len(rest) >= int(length.split(b": ")[1])


def _lines(raw: bytes) -> list[bytes]:
    """Of a chunked body that may still grow."""
    body, lines = raw.partition(b"\r\n\r\n")[2], []
    while b"\r\n" in body:
        size, _, body = body.partition(b"\r\n")
        lines.append(body[: int(size, 16)])
        body = body[int(size, 16) + 2 :]
    return b"".join(lines).splitlines()

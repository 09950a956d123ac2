"""One request on its way: who asks for what in which form, and how an answer is sent. The handlers' only argument."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from actors.admission.chain import Chain
from actors.admission.request import CREATE, NOT_ASKED, Notes, Origin, Request
from actors.api.clock import Millis
from actors.api.codec import Object
from actors.api.errors import BadRequest, TooLarge, from_status
from actors.api.kinds import Kind
from actors.gateway.audit import Entry, Trail
from actors.gateway.auth import User
from actors.gateway.auth.access import Access
from actors.gateway.config import GatewayConfig
from actors.gateway.custom import CustomKinds
from actors.gateway.flow.control import FlowControl, Pass
from actors.gateway.media import Body, Form, body_type, choose_form
from actors.gateway.off_loop import LargeBodies
from actors.gateway.options import Query, flag_of, text_of
from actors.gateway.port import ClusterPort, NodesPort
from actors.gateway.render import INCLUDE_METADATA, INCLUDE_NONE, INCLUDE_OBJECT, encode
from actors.gateway.stream import Stream
from actors.gateway.streams.messages import MessageStream
from actors.gateway.streams.upgrade import WEBSOCKET, upgrade_of
from actors.gateway.target import Target
from actors.gateway.views import Views
from actors.reconcile.actions import Reply, StoreWrite
from actors.remote.client import RemoteClient
from actors.remote.conversion import Converter
from actors.store.fanout import WatchFanout
from actors.store.port import StorePort

if TYPE_CHECKING:
    from actors.gateway.aggregation.aggregator import Aggregator
    from actors.gateway.telemetry.requests import RequestMeter

JSON_TYPE, YAML_TYPE, TEXT_TYPE = "application/json", "application/yaml", "text/plain; charset=utf-8"

_WARNING_CHARS_MAX = 4096
_META_V1, _META_V1BETA1 = b'"apiVersion":"meta.k8s.io/v1"', b'"apiVersion":"meta.k8s.io/v1beta1"'


@dataclass(frozen=True)
class Backend:
    """What the gateway stands on. `clock` and `new_id` are the only sources of time and randomness."""

    config: GatewayConfig
    store: StorePort
    nodes: NodesPort
    cluster: ClusterPort
    clock: Callable[[], Millis]
    new_id: Callable[[], str]
    fanout: WatchFanout
    access: Access
    trail: Trail | None = None
    chain: Chain | None = None
    remote: RemoteClient | None = None
    aggregator: Aggregator | None = None
    flow: FlowControl | None = None
    meter: RequestMeter | None = None

    @cached_property
    def views(self) -> Views:
        return Views(Converter(self.remote or RemoteClient(self.store)))

    @cached_property
    def admission(self) -> Chain:
        return self.chain or Chain(self.store)

    @cached_property
    def large_bodies(self) -> LargeBodies:
        return LargeBodies()

    @cached_property
    def custom(self) -> CustomKinds:
        return CustomKinds(self.store)


@dataclass
class Call:
    backend: Backend
    request: web.BaseRequest
    target: Target
    query: Query
    user: User
    shown_at: Millis = 0
    warnings: list[str] = field(default_factory=list)
    audit: Entry | None = None
    is_older_meta: bool = False
    kind: Kind | None = None
    granted: Pass | None = None
    is_admitted: bool = False

    @property
    def store(self) -> StorePort:
        return self.backend.store

    @property
    def now(self) -> Millis:
        """The time; of a look at the past, then."""
        return self.shown_at or self.backend.clock()

    @property
    def include(self) -> str:
        """`includeObject` of a Table request. Raises BadRequest."""
        include = text_of(self.query, "includeObject") or INCLUDE_METADATA
        if include not in (INCLUDE_NONE, INCLUDE_METADATA, INCLUDE_OBJECT):
            raise BadRequest(f'unrecognized includeObject value: "{include[:50]}"')
        return include

    @property
    def manager(self) -> str:
        """fieldManager, else the first word of the User-Agent, as kube-apiserver names who has sent none."""
        agent = self.request.headers.get("User-Agent", "unknown").split("/", 1)[0].strip()
        named = text_of(self.query, "fieldManager") or agent
        return "".join(char for char in named if char.isprintable())[:128] or "unknown"

    def form(self, offered: frozenset[Form]) -> Form:
        chosen = choose_form(self.request.headers.get("Accept", ""), offered)
        self.is_older_meta = chosen.version == "v1beta1"
        return chosen.form

    def versioned(self, body: bytes) -> bytes:
        """Tables and partial metadata as meta.k8s.io/v1beta1, where that was asked for: nothing else differs."""
        return body.replace(_META_V1, _META_V1BETA1) if self.is_older_meta else body

    def body_type(self, allowed: frozenset[Body]) -> Body:
        return body_type(self.request.headers.get("Content-Type", ""), allowed)

    async def read_body(self, bytes_max: int = 0) -> bytes:
        """Raises TooLarge (`bytes_max` 0: the configured limit); BadRequest when the client does not send what it
        announced in time."""
        bytes_max = bytes_max or self.backend.config.body_bytes_max
        content = self.request.content
        if (self.request.content_length or 0) > bytes_max:
            raise _too_large(bytes_max)
        if content.is_eof():
            body = content.read_nowait()
            if len(body) > bytes_max:
                raise _too_large(bytes_max)
        else:
            await self.invite_body()
            body = await self._receive_body(bytes_max)
        if self.audit is not None:
            self.audit.body = body
        return body

    async def _receive_body(self, bytes_max: int) -> bytes:
        """What is not all there yet."""
        chunks, size = [], 0
        try:
            async with asyncio.timeout(self.backend.config.body_seconds):
                while chunk := await self.request.content.readany():
                    chunks.append(chunk)
                    size += len(chunk)
                    if size > bytes_max:
                        raise _too_large(bytes_max)
        except TimeoutError as error:
            raise BadRequest("the request body did not arrive in time") from error
        return b"".join(chunks)

    async def invite_body(self) -> None:
        """Clients with large bodies wait for this before they send them."""
        if self.request.headers.get("Expect", "").lower() == "100-continue":
            await self.request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.request.writer.output_size = 0

    async def commit(self, writes: Sequence[StoreWrite]) -> list[Reply]:
        """One durable commit in the user's name, safe to repeat by whatever carries it to the store."""
        if self.backend.admission.passes_by(self.kind):
            return await self.store.commit(self.signed(writes), self.backend.new_id())
        origin = self.origin()
        try:
            origins = [origin] * len(writes)
            return await self.backend.admission.submit(self.signed(writes), origins, self.backend.new_id())
        finally:
            self.take_notes(origin.notes)

    async def admitted(self, obj: Object, operation: str = CREATE) -> Object:
        """What is asked for on the call's own path and never kept (an eviction, a review, a connection), as admission
        leaves it. What it then writes is not asked about again. Raises ApiError."""
        origin = self.origin()
        self.is_admitted = True
        chain, kind, target = self.backend.admission, self.kind, self.target
        if chain.is_idle or kind is None:
            return obj
        dry_run = "All" in self.query.get("dryRun", ())
        asked = Request(operation, kind, target.subresource, target.namespace, target.name, obj, None, dry_run, origin)
        try:
            return (await chain.review(asked)).object or obj
        finally:
            self.take_notes(origin.notes)

    def origin(self) -> Origin:
        """Whose request it is, in which terms, for admission."""
        if self.is_admitted:
            return NOT_ASKED
        return Origin(self.user.to_info(), self.kind, self._options())

    def take_notes(self, notes: Notes) -> None:
        """What admission has said goes to the client and into the audit log, once."""
        self.warnings += [text for text in dict.fromkeys(notes.warnings) if text not in self.warnings]
        if self.audit is not None:
            self.audit.annotations |= notes.annotations

    def _options(self) -> dict[str, Any]:
        """CreateOptions and their like, as far as the query tells."""
        named = {name: text_of(self.query, name) for name in ("fieldManager", "fieldValidation")}
        options: dict[str, Any] = {name: value for name, value in named.items() if value}
        if self.target.verb == "patch":
            options = {"kind": "PatchOptions", **options}
            if "force" in self.query:
                options["force"] = flag_of(self.query, "force")
        return options

    def signed(self, writes: Sequence[StoreWrite]) -> list[StoreWrite]:
        """In the name of whose call it is."""
        return [msgspec.structs.replace(write, user=self.user.name) for write in writes]

    async def commit_one(self, write: StoreWrite) -> Reply:
        """Raises the ApiError that the store answered."""
        reply = (await self.commit([write]))[0]
        self.warnings += reply.warnings
        if self.audit is not None:
            self.audit.annotations |= reply.audit
        if reply.error is not None:
            raise from_status(reply.error)
        return reply

    def answer(self, body: bytes, code: int = 200, content_type: str = JSON_TYPE) -> web.Response:
        if "pretty" in self.query and content_type == JSON_TYPE and flag_of(self.query, "pretty"):
            body = msgspec.json.format(body, indent=2)
        headers = {"Content-Type": content_type, "Cache-Control": "no-cache, private"}
        response = web.Response(body=self.versioned(body), status=code, headers=headers)
        if self.warnings:
            self._warn(response)
        return response

    def warned(self, response: web.StreamResponse) -> web.StreamResponse:
        """A refusal, with what admission has said before it."""
        self._warn(response)
        return response

    def _warn(self, response: web.StreamResponse) -> None:
        for text in few_warnings(self.warnings):
            response.headers.add("Warning", format_warning(text))

    def answer_value(self, value: Any, code: int = 200) -> web.Response:
        return self.answer(encode(value), code)

    def stream(self, content_type: str) -> Stream:
        """A watch has its seats until here: what it does from now on costs little."""
        if self.audit is not None:
            self.audit.started()
        stream = self._open_stream(content_type)
        self._warn(stream.response)
        if self.granted is not None:
            stream.response.headers.update(self.granted.headers)
            if self.target.verb == "watch":
                self.granted.leave(is_watch=True)
        return stream

    def _open_stream(self, content_type: str) -> Stream:
        stall_seconds = self.backend.config.write_stall_seconds
        if upgrade_of(self.request.headers) == WEBSOCKET:
            return MessageStream(self.request, stall_seconds, text=content_type != TEXT_TYPE)
        return Stream(self.request, content_type, stall_seconds)


def _too_large(bytes_max: int) -> TooLarge:
    return TooLarge(f"Request entity too large: limit is {bytes_max}")


_ALL_WARNINGS_CHARS_MAX, _SHORT_WARNING_CHARS = 4096, 256


def few_warnings(texts: Iterable[str]) -> Iterator[str]:
    """Each once. Where they are too many for a client's patience, cut short, as far as there is room (apiserver
    pkg/endpoints/filters/warning.go): webhooks and policies may warn of anything."""
    found = list(dict.fromkeys(texts))
    if sum(map(len, found)) <= _ALL_WARNINGS_CHARS_MAX:
        yield from found
        return
    room = _ALL_WARNINGS_CHARS_MAX
    for text in found:
        short = text[:_SHORT_WARNING_CHARS]
        if len(short) > room:
            return
        room -= len(short)
        yield short


def format_warning(text: str) -> str:
    """RFC 7234: `299 - "text"`; never more than a header may hold."""
    clean = "".join(char if char.isprintable() and ord(char) < 128 else "?" for char in text[:_WARNING_CHARS_MAX])
    escaped = clean.replace("\\", "\\\\").replace('"', '\\"')
    return f'299 - "{escaped}"'

"""POST /apis/raypod.io/v1/batch: many writes of any kinds in one request, each with its own answer, in order.

An item is a request as it would be sent alone: the same authorization, admission and handlers see it. Their writes are
collected and committed together, in the order of the items. docs/batch.md has the form.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec
from aiohttp import web

from actors.admission.request import NOT_ASKED, Origin
from actors.api.errors import ApiError, BadRequest, InternalError, TooLarge, Unavailable
from actors.gateway.call import Call
from actors.gateway.media import Body, Form, body_type
from actors.gateway.options import flag_of, parse_query
from actors.gateway.render import encode
from actors.gateway.target import parse_target
from actors.reconcile.actions import Reply, StoreWrite

#: Position of an item, what it writes, whose it is, where it waits for the replies.
_Waiting = tuple[int, Sequence[StoreWrite], Origin, asyncio.Future[list[Reply]]]
#: Authorizes and routes one item.
Answer = Callable[[Call], Awaitable[web.StreamResponse]]

_LOG = logging.getLogger(__name__)
_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_STREAMS = frozenset({"exec", "attach", "portforward", "proxy"})
#: So many are planned and synced together: more would keep everybody else's commits waiting.
_COMMIT_ITEMS_MAX = 500
_KEY_CHARS_MAX = 200
#: So many are read before others have their turn.
_TURN_ITEMS = 50


class Item(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`path` with its query, as in the request line. `contentType`: application/json where it is left out."""

    method: str
    path: str
    content_type: str = msgspec.field(name="contentType", default="")
    body: msgspec.Raw = msgspec.Raw(b"")


class Batch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`returns` Identity: of what was written name, namespace, uid and resourceVersion only."""

    items: list[Item]
    kind: Literal["Batch"] = "Batch"
    api_version: Literal["raypod.io/v1"] = msgspec.field(name="apiVersion", default="raypod.io/v1")
    returns: Literal["Object", "Identity"] = "Object"


class Result(msgspec.Struct, frozen=True, omit_defaults=True):
    """`object` is the body of the answer: an object, or a Status."""

    code: int
    object: msgspec.Raw
    warnings: list[str] = []


_DECODER = msgspec.json.Decoder(Batch)


async def apply_batch(call: Call, answer: Answer) -> web.StreamResponse:
    """Raises BadRequest, TooLarge for the batch as a whole; what is wrong with an item is that item's answer."""
    text = await call.read_body(call.backend.config.batch_bytes_max)
    batch = _parse(text)
    limit = call.backend.config.batch_writes_max
    if len(batch.items) > limit:
        raise TooLarge(f"the batch has {len(batch.items)} items, at most {limit} are taken at once: send several")
    commits = _Commits(call, _key_of(call, text), len(batch.items))
    tasks: list[asyncio.Task[Result]] = []
    try:
        for n, item in enumerate(batch.items):
            tasks.append(asyncio.create_task(_answer(ItemCall.of(call, commits, n), item, batch, answer)))
            if n % _TURN_ITEMS == 0:
                await asyncio.sleep(0)
        results = await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
    return call.answer_value({"kind": "BatchResult", "apiVersion": "raypod.io/v1", "items": results})


def _parse(text: bytes) -> Batch:
    try:
        return _DECODER.decode(text)
    except msgspec.MsgspecError as error:
        raise BadRequest(f"the request body is not a Batch of raypod.io/v1: {error}") from error
    except RecursionError as error:
        raise BadRequest("the request body is nested too deep") from error


def _key_of(call: Call, text: bytes) -> str:
    """What makes a repeat of this very batch by this user known; "" when the client asked for nothing of the kind."""
    key = call.request.headers.get("Idempotency-Key", "")
    if len(key) > _KEY_CHARS_MAX:
        raise BadRequest(f"Idempotency-Key: at most {_KEY_CHARS_MAX} characters")
    return hashlib.sha256(encode([call.user.name, key]) + text).hexdigest() if key else ""


@dataclass
class ItemCall(Call):
    """One item as its handler sees it."""

    commits: _Commits = field(kw_only=True)
    position: int = field(kw_only=True)
    item: Item | None = None
    reply: Reply | None = None

    @classmethod
    def of(cls, call: Call, commits: _Commits, position: int) -> ItemCall:
        return cls(
            call.backend,
            call.request,
            call.target,
            call.query,
            call.user,
            audit=call.audit,
            commits=commits,
            position=position,
        )

    def read(self, item: Item) -> None:
        """Raises BadRequest, NotFound."""
        raw_path, _, raw_query = item.path.partition("?")
        self.item, self.query = item, parse_query(raw_query)
        self.target = parse_target(item.method, raw_path, flag_of(self.query, "watch"))
        streams = self.target.subresource in _STREAMS
        if item.method not in _METHODS or self.target.verb == "deletecollection" or streams:
            raise BadRequest("an item of a batch is a POST, PUT, PATCH or DELETE of one object")
        if not self.target.plural or self.target.group == "raypod.io":
            raise BadRequest(f"{raw_path[:200]!r} is not the path of an object or of a collection")

    def form(self, offered: frozenset[Form]) -> Form:
        return Form.JSON

    def body_type(self, allowed: frozenset[Body]) -> Body:
        assert self.item is not None
        return body_type(self.item.content_type, allowed)

    async def read_body(self, bytes_max: int = 0) -> bytes:
        assert self.item is not None
        if self.audit is not None:
            self.audit.body = bytes(self.item.body)
        return bytes(self.item.body)

    async def commit(self, writes: Sequence[StoreWrite]) -> list[Reply]:
        origin = NOT_ASKED if self.backend.admission.passes_by(self.kind) else self.origin()
        try:
            replies = await self.commits.commit(self.position, self.signed(writes), origin)
        finally:
            self.take_notes(origin.notes)
        self.reply = replies[-1]
        return replies


async def _answer(call: ItemCall, item: Item, batch: Batch, answer: Answer) -> Result:
    try:
        call.read(item)
        response = await answer(call)
        assert isinstance(response, web.Response)
        assert isinstance(response.body, bytes)
        body = response.body
        if batch.returns == "Identity" and call.reply is not None and call.reply.stored is not None:
            stored = call.reply.stored
            metadata = {"name": stored.key.name, "namespace": stored.key.namespace, "uid": stored.uid}
            body = encode({"metadata": {**metadata, "resourceVersion": str(stored.revision)}})
        return Result(response.status, msgspec.Raw(body), call.warnings)
    except ApiError as error:
        return _failed(error)
    except Exception:
        _LOG.exception("an item of a batch: %s %s", item.method[:20], item.path[:500])
        return _failed(InternalError("an internal error occurred: the gateway's log tells more"))
    finally:
        call.commits.leave()


def _failed(error: ApiError) -> Result:
    return Result(error.code, msgspec.Raw(encode(error.to_status())))


class _Commits:
    """The writes of all items, committed when each item has either said what it writes or is done."""

    def __init__(self, call: Call, key: str, items: int) -> None:
        self._call, self._key, self._items = call, key, items
        self._waiting: list[_Waiting] = []
        self._flushes: set[asyncio.Task[None]] = set()

    async def commit(self, position: int, writes: Sequence[StoreWrite], origin: Origin) -> list[Reply]:
        replies: asyncio.Future[list[Reply]] = asyncio.get_running_loop().create_future()
        self._waiting.append((position, writes, origin, replies))
        self._settle()
        return await replies

    def leave(self) -> None:
        """An item has its answer."""
        self._items -= 1
        self._settle()

    def _settle(self) -> None:
        if not self._waiting or len(self._waiting) < self._items:
            return
        ordered = sorted(self._waiting, key=lambda waiting: waiting[0])
        self._waiting = []
        for start in range(0, len(ordered), _COMMIT_ITEMS_MAX):
            flush = asyncio.create_task(self._flush(ordered[start : start + _COMMIT_ITEMS_MAX]))
            self._flushes.add(flush)
            flush.add_done_callback(self._flushes.discard)

    async def _flush(self, part: list[_Waiting]) -> None:
        """One durable commit."""
        writes = [write for _, its, _, _ in part for write in its]
        origins = [origin for _, its, origin, _ in part for _ in its]
        try:
            replies = await self._call.backend.admission.submit(writes, origins, self._key_of(part))
        except Exception as error:
            if not isinstance(error, ApiError):
                _LOG.exception("a batch could not be committed")
                error = Unavailable(f"the batch could not be committed: {type(error).__name__}")
            for *_, waiting in part:
                if not waiting.done():
                    waiting.set_exception(error)
            return
        for _, its, _, waiting in part:
            if not waiting.done():
                waiting.set_result(replies[: len(its)])
            replies = replies[len(its) :]

    def _key_of(self, part: list[_Waiting]) -> str:
        """A repeat is told what the first was where it writes the same items: rights may have changed meanwhile."""
        if not self._key:
            return self._call.backend.new_id()
        return f"{self._key}/{hashlib.sha256(encode([position for position, *_ in part])).hexdigest()[:16]}"

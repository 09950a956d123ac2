"""The past over HTTP: who changed which field of an object when, and the log itself as JSON lines.

GET <path of an object>/history?since=&until=     GET /apis/raypod.io/v1/log?since=&until=&resource=&namespace=&name=
`since` (exclusive) and `until` (inclusive) are revisions, or times in RFC 3339. docs/time-travel.md has both forms.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from actors.api.clock import format_micro_time
from actors.api.codec import Object
from actors.api.errors import BadRequest
from actors.api.kinds import Kind
from actors.gateway.call import Call
from actors.gateway.options import text_of
from actors.gateway.past import find_floor
from actors.gateway.reading import key_of, parse_past
from actors.gateway.render import encode, object_bytes
from actors.reconcile.watch import EventType, Selection
from actors.store.history import derive_fields
from actors.store.port import History, PastChange

JSON_LINES_TYPE = "application/jsonl"


async def read_history(call: Call, kind: Kind) -> web.StreamResponse:
    """All retained changes of one object, by name: deletions and what came after under the same name too.

    Raises NotFound for one that neither is nor was, as far as the log goes back.
    """
    key = key_of(kind, call.target)
    selection = Selection((key.resource,), key.namespace, fields=f"metadata.name={key.name}")
    since, until = await read_range(call)
    floor = await find_floor(call)
    floor.check(since)
    floor.check(until)
    items: list[Object] = []
    async for part in _parts(call, selection, since, until):
        items += (_history_item(change) for change in part.changes if change.stored.revision >= floor.revision)
    if not items:
        await call.store.get(key)
    horizon, at = max((part.horizon, part.horizon_at), (floor.revision, floor.at))
    oldest = {"revision": str(horizon), "time": format_micro_time(at)} if horizon else {}
    metadata = {"resourceVersion": str(part.until)}
    return call.answer_value(
        {"kind": "History", "apiVersion": "raypod.io/v1", "metadata": metadata, "oldest": oldest, "items": items}
    )


def _history_item(change: PastChange) -> Object:
    item = _head(change)
    if change.type is EventType.MODIFIED and change.previous is not None:
        item["changes"] = derive_fields(change.previous, change.stored)
    return item


def _head(change: PastChange) -> dict[str, Any]:
    return {
        "revision": str(change.stored.revision),
        "time": format_micro_time(change.at),
        "type": change.type,
        "uid": change.stored.uid,
        "user": change.user,
        "manager": change.manager,
    }


async def export_log(call: Call) -> web.StreamResponse:
    """A line a change, oldest first. A stream that cannot go on (what comes next was compacted) is cut, not ended."""
    selection = Selection(
        tuple(filter(None, [text_of(call.query, "resource")])),
        text_of(call.query, "namespace"),
        fields=f"metadata.name={name}" if (name := text_of(call.query, "name")) else "",
    )
    since, until = await read_range(call)
    stream = call.stream(JSON_LINES_TYPE)
    async for part in _parts(call, selection, since, until):
        await stream.write(map(format_line, part.changes))
    await stream.open()
    return stream.response


def format_line(change: PastChange) -> bytes:
    key = change.stored.key
    head = {**_head(change), "resource": key.resource, "namespace": key.namespace, "name": key.name}
    return b'%s,"object":%s}\n' % (encode(head)[:-1], object_bytes(change.stored))


async def read_range(call: Call) -> tuple[int, int]:
    """`since` and `until` as revisions, 0 where they are not given. Raises BadRequest, Expired."""
    since, until = [await _read_revision(call, name) for name in ("since", "until")]
    if until and since > until:
        raise BadRequest(f"since ({since}) comes after until ({until})")
    return since, until


async def _read_revision(call: Call, name: str) -> int:
    text = text_of(call.query, name)
    if text.isascii() and text.isdigit() and len(text) <= 18:
        return int(text)
    return await call.store.revision_at(parse_past(text, call.now)) if text else 0


async def _parts(call: Call, selection: Selection, since: int, until: int) -> AsyncIterator[History]:
    """The changes in (since, until], a few megabytes at a time."""
    while True:
        part = await call.store.history(selection, since, until)
        yield part
        since, until = part.revision, part.until
        if since >= until:
            return

"""Watches: newline-delimited events over one chunked reply, until the client goes or its time is up.

Nothing is kept per watcher but the revision it has seen; a client that stops reading is cut off, not buffered for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
from aiohttp import web

from actors.api.codec import Object
from actors.api.errors import ApiError, Unavailable
from actors.api.key import Stored
from actors.api.kinds import Kind
from actors.gateway import render
from actors.gateway.call import JSON_TYPE, Call
from actors.gateway.converted import Tracked, rest_of
from actors.gateway.media import OBJECT_FORMS, Form
from actors.gateway.options import ListOptions, parse_list
from actors.gateway.past import find_floor
from actors.gateway.reading import read_shown, selection_of
from actors.gateway.stream import Stream, chunk_of
from actors.reconcile.watch import EventType, WatchBatch
from actors.store.fanout import Made
from actors.store.matching import matcher_of

INITIAL_EVENTS_END = "k8s.io/initial-events-end"
_BOOKMARK_MS = 60_000
_RETRY_SECONDS = 0.5
_UNAVAILABLE_MAX = 60
_OFFERED = OBJECT_FORMS - {Form.YAML}


async def watch_objects(call: Call, kind: Kind) -> web.StreamResponse:
    options = parse_list(call.query, call.target.name, is_watch=True)
    watcher = _Watcher(call, kind, options)
    matcher_of(watcher.selection)
    initial, since = await _start(call, kind, options)
    await watcher.begin(since)
    stream = watcher.stream = call.stream(JSON_TYPE)
    await stream.open()
    await stream.write(watcher.event("ADDED", stored) for stored in initial)
    if options.initial_events and options.bookmarks:
        await stream.write([watcher.bookmark(since, initial_end=True)])
    await watcher.run(since)
    return stream.response


async def _start(call: Call, kind: Kind, options: ListOptions) -> tuple[Sequence[Stored], int]:
    """What is shown first, and from where to go on: a state when none is named, nothing from a named revision."""
    if options.revision > 0 and not options.initial_events:
        (await find_floor(call)).check(options.revision)
        return (), options.revision
    page = await read_shown(call, kind, msgspec.structs.replace(options, limit=0, match="", cursor=""))
    return () if options.initial_events is False else page.items, page.revision


class _Watcher:
    """Renders one client's events; a follower of the fan-out. Tables carry their columns in the first event only."""

    stream: Stream

    def __init__(self, call: Call, kind: Kind, options: ListOptions) -> None:
        self.call, self.kind, self.options = call, kind, options
        self.form = call.form(_OFFERED)
        self.include = call.include
        self.columns_sent = False
        self.selection = selection_of(kind, call.target, options)
        self.seen = 0
        self.marked_ms = call.now
        self.rest = rest_of(kind, options.fields)
        self.tracked: Tracked | None = None

    async def begin(self, since: int) -> None:
        """What is selected there, where only converted objects can tell. Raises Expired for what is not retained."""
        if self.rest is not None:
            page = await self.call.store.list(self.selection, revision=since)
            self.tracked = Tracked(self.rest, await self.call.backend.views.show(page.items, self.kind))

    async def run(self, since: int) -> None:
        """Until the client's time is up, which ends with a bookmark to resume from, or an ERROR event.

        Raises ConnectionError when the client has gone.
        """
        seconds_max = self.call.backend.config.watch_seconds_max
        self.seen = since
        try:
            async with asyncio.timeout(min(self.options.timeout_seconds or seconds_max, seconds_max)):
                await self._follow()
        except TimeoutError:
            if self.options.bookmarks:
                await self.stream.write([self.bookmark(self.seen)])
        except ApiError as error:
            await self.stream.write([self.line("ERROR", render.encode(error.to_status()))])

    async def _follow(self) -> None:
        """A store that is away for a while is waited for: the next batch goes on where the last one ended."""
        for _ in range(_UNAVAILABLE_MAX):
            try:
                await self.call.backend.fanout.follow(self, _BOOKMARK_MS)
            except Unavailable:
                await asyncio.sleep(_RETRY_SECONDS)

    async def catch_up(self, batch: WatchBatch) -> None:
        self.seen = batch.revision
        shown = await self.call.backend.views.show(_objects_of(batch), self.kind)
        lines = self.events(batch, shown)
        if self._is_bookmark_due():
            lines.append(self.bookmark(batch.revision))
        await self.stream.write(lines)

    def offer(self, batch: WatchBatch, made: Made) -> bool:
        """All who want the same of a batch are sent the very same bytes."""
        if self._is_bookmark_due() or not self.stream.is_ready or self.tracked is not None:
            return False
        wanted = (id(self.kind), self.form, self.include, self.columns_sent)
        chunk = made.get(wanted)
        if chunk is None:
            shown = self.call.backend.views.show_now(_objects_of(batch), self.kind)
            if shown is None:
                return False
            chunk = made[wanted] = chunk_of(b"".join(self.events(batch, shown)))
        self.columns_sent = True
        self.stream.send(chunk)
        return True

    def _is_bookmark_due(self) -> bool:
        return self.options.bookmarks and self.call.now - self.marked_ms >= _BOOKMARK_MS

    def events(self, batch: WatchBatch, shown: Sequence[Stored]) -> list[bytes]:
        if self.tracked is not None:
            return [self.event(kind, stored) for kind, stored in self.tracked.told(batch.events, shown)]
        return [self.event(event.type, stored) for event, stored in zip(batch.events, shown, strict=True)]

    def event(self, kind: EventType | str, stored: Stored) -> bytes:
        return self.line(str(kind), self.object(stored))

    def object(self, stored: Stored) -> bytes:
        if self.form is Form.TABLE:
            metadata, columns = render.list_metadata(stored.revision), not self.columns_sent
            self.columns_sent = True
            return render.table_bytes(
                self.kind, [stored], metadata, self.call.now, include=self.include, columns=columns
            )
        return render.partial_bytes(stored) if self.form is Form.METADATA else render.object_bytes(stored)

    def bookmark(self, revision: int, *, initial_end: bool = False) -> bytes:
        self.marked_ms = self.call.now
        annotations = {"annotations": {INITIAL_EVENTS_END: "true"}} if initial_end else {}
        obj: Object = {
            "kind": self.kind.kind,
            "apiVersion": self.kind.api_version,
            "metadata": {"resourceVersion": str(revision), "creationTimestamp": None, **annotations},
        }
        if self.form is Form.METADATA:
            obj |= {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
        if self.form is Form.TABLE:
            row = {"cells": [], "object": obj | {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}}
            table = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "columnDefinitions": []}
            obj = {**table, "metadata": render.list_metadata(revision), "rows": [row]}
        return self.line("BOOKMARK", render.encode(obj))

    def line(self, kind: str, obj: bytes) -> bytes:
        return b'{"type":"%s","object":%s}\n' % (kind.encode(), self.call.versioned(obj))


def _objects_of(batch: WatchBatch) -> list[Stored]:
    return [event.stored for event in batch.events]

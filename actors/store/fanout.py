"""Many watchers, few long polls: the gateway's HTTP watches of one selection share one, each at its own pace.

The last changes are kept in a bounded buffer; a watcher that has fallen behind it, or begins before it, is served by
the store until it has caught up. Nobody is queued for, so a slow watcher costs nothing; the store tells it Expired.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from itertools import takewhile

import msgspec

from actors.api.errors import ApiError, Expired
from actors.reconcile.watch import Selection, WatchBatch, WatchEvent
from actors.store.matching import Matcher, matcher_of
from actors.store.port import StorePort

_LOG = logging.getLogger(__name__)
_BUFFERED_EVENTS_MAX = 2000
_BOOKMARK_MS = 30_000
_RETRY_SECONDS = 1.0


class WatchFanout:
    """Used within one event loop."""

    def __init__(self, store: StorePort, buffered_events_max: int = _BUFFERED_EVENTS_MAX) -> None:
        self._store = store
        self._buffered_events_max = buffered_events_max
        self._feeds: dict[Selection, _Feed] = {}

    @property
    def feed_count(self) -> int:
        """Long polls under way."""
        return len(self._feeds)

    async def subscribe(
        self, selection: Selection, since: int, bookmark_ms: int = _BOOKMARK_MS
    ) -> AsyncIterator[WatchBatch]:
        """Every change after `since`, once, in order. An empty batch is a bookmark: go on from its revision.

        Raises Expired (list again) and BadRequest (selector). Close the iterator (`aclose`) to let go.
        """
        matcher = matcher_of(selection)
        feed = self._enter(_shared_selection(selection))
        try:
            while True:
                batch = await self._next(feed, selection, since, bookmark_ms)
                since = batch.revision
                yield _narrowed(batch, matcher)
        finally:
            self._leave(feed)

    async def _next(self, feed: _Feed, selection: Selection, since: int, bookmark_ms: int) -> WatchBatch:
        """From the buffer when it reaches back to `since`; else from the store, which also says how far a bookmark is:
        the feed hears of nothing that happens to other kinds."""
        if not feed.reaches(since):
            batch = await self._store.watch(selection, since, 0)
            if batch.revision > since or not feed.started:
                feed.start(batch.revision)
                return batch
            feed.start(batch.revision)
        batch = await feed.wait_after(since, bookmark_ms)
        return batch if batch.revision > since else await self._store.watch(selection, since, 0)

    def _enter(self, selection: Selection) -> _Feed:
        feed = self._feeds.get(selection)
        if feed is None:
            feed = self._feeds[selection] = _Feed(self._store, selection, self._buffered_events_max)
        feed.subscribers += 1
        return feed

    def _leave(self, feed: _Feed) -> None:
        feed.subscribers -= 1
        if feed.subscribers == 0:
            feed.stop()
            self._feeds.pop(feed.selection, None)


def _shared_selection(selection: Selection) -> Selection:
    """What is polled for it. Without label and field selectors a change can be sorted by its key alone, so all of a
    resource share one poll; with them the store must say which objects begin or cease to match."""
    if selection.labels or selection.fields:
        return selection
    return msgspec.structs.replace(selection, namespace="")


def _narrowed(batch: WatchBatch, matcher: Matcher) -> WatchBatch:
    return WatchBatch(tuple(event for event in batch.events if matcher.matches_key(event.stored.key)), batch.revision)


class _Feed:
    """One long poll and the changes in (`_start`, `_end`] that it brought."""

    def __init__(self, store: StorePort, selection: Selection, events_max: int) -> None:
        self.selection = selection
        self.subscribers = 0
        self._store = store
        self._events_max = events_max
        self._events: deque[WatchEvent] = deque()
        self._start = self._end = 0
        self._polling: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    @property
    def started(self) -> bool:
        return self._polling is not None

    def reaches(self, since: int) -> bool:
        """Whether every change after `since` is in the buffer or yet to come through it."""
        return self.started and self._start <= since <= self._end

    def start(self, revision: int) -> None:
        """Poll from there on; a feed that polls already goes its own way."""
        if self._polling is None:
            self._start = self._end = revision
            self._polling = asyncio.create_task(self._poll(), name=f"watch-{self.selection.resources}")

    def stop(self) -> None:
        if self._polling is not None:
            self._polling.cancel()
            self._polling = None

    async def wait_after(self, since: int, timeout_ms: int) -> WatchBatch:
        """The buffered changes after `since`; waits for the first one. An empty batch when there was none in time."""
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                while self.started and since >= self._end:
                    await self._news.wait()
        except TimeoutError:
            return WatchBatch((), since)
        if since < self._start:
            return WatchBatch((), since)
        newer = takewhile(lambda event: event.stored.revision > since, reversed(self._events))
        return WatchBatch(tuple(newer)[::-1], max(since, self._end))

    async def _poll(self) -> None:
        while True:
            try:
                batch = await self._store.watch(self.selection, self._end)
            except Expired:
                self._forget()
                return
            except (ApiError, OSError) as error:
                _LOG.warning("a watch of %s waits for the store: %s", self.selection, error)
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                self._extend(batch)

    def _extend(self, batch: WatchBatch) -> None:
        self._events.extend(batch.events)
        self._end = batch.revision
        while len(self._events) > self._events_max:
            self._start = self._events.popleft().stored.revision
        self._tell()

    def _forget(self) -> None:
        """The store no longer has what comes next: those who wait ask it themselves, and are told so."""
        self._events.clear()
        self._start = self._end = 0
        self._polling = None
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

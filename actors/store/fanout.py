"""Many watchers, few long polls: the gateway's HTTP watches of one selection share one, and what is made of a change.

A follower that keeps up is offered each batch at once, without a task's turn; one that does not, or begins in the past,
reads from the store at its own pace until it has caught up. Nothing is kept for it, so a slow one costs nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Hashable
from typing import Any, Protocol

import msgspec

from actors.api.errors import ApiError, Expired
from actors.reconcile.watch import Selection, WatchBatch
from actors.store.matching import Matcher, matcher_of
from actors.store.port import StorePort

_LOG = logging.getLogger(__name__)
_RETRY_SECONDS = 1.0
_BOOKMARK_MS = 30_000
_ROOM = 1000
#: Offered to so many, then others have their turn.
_OFFERS_AT_ONCE = 100

#: What followers of one batch have made of it, for the next one that wants the same.
Made = dict[Hashable, bytes]


class Follower(Protocol):
    """One watch. `seen`: the revision up to which it has been told."""

    selection: Selection
    seen: int

    def offer(self, batch: WatchBatch, made: Made) -> bool:
        """Tell it at once. False, with nothing told, when that would have to wait."""
        ...

    async def catch_up(self, batch: WatchBatch) -> None:
        """Tell it; an empty batch is a bookmark."""
        ...


class WatchFanout:
    """Used within one event loop."""

    def __init__(self, store: StorePort) -> None:
        self._store = store
        self._feeds: dict[Selection, _Feed] = {}

    @property
    def feed_count(self) -> int:
        """Long polls under way."""
        return len(self._feeds)

    async def follow(self, follower: Follower, bookmark_ms: int) -> None:
        """Tell it every change after its `seen`, once, in order, for ever; every `bookmark_ms` at least how far it is.

        Raises Expired (list again), BadRequest (selector), and what `catch_up` raises.
        """
        matcher = matcher_of(follower.selection)
        feed = self._enter(_shared_selection(follower.selection, matcher))
        try:
            while True:
                batch = await self._store.watch(follower.selection, follower.seen, 0)
                await follower.catch_up(batch)
                if feed.is_passed_by(follower.seen):
                    await feed.attend(follower, matcher, bookmark_ms)
        finally:
            self._leave(feed)

    async def subscribe(
        self, selection: Selection, since: int, bookmark_ms: int = _BOOKMARK_MS, room: int = _ROOM
    ) -> AsyncIterator[WatchBatch]:
        """The same for one who reads in this process, of whom up to `room` batches are kept. Close the iterator
        (`aclose`) to let go."""
        subscriber = _Subscriber(selection, since, room)
        following = asyncio.create_task(subscriber.run(self.follow(subscriber, bookmark_ms)))
        try:
            while True:
                yield await subscriber.next()
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    def _enter(self, selection: Selection) -> _Feed:
        feed = self._feeds.get(selection)
        if feed is None:
            feed = self._feeds[selection] = _Feed(self._store, selection)
        feed.entered += 1
        return feed

    def _leave(self, feed: _Feed) -> None:
        feed.entered -= 1
        if feed.entered == 0:
            feed.stop()
            self._feeds.pop(feed.selection, None)


def _shared_selection(selection: Selection, matcher: Matcher) -> Selection:
    """What is polled for it. Where a change can be sorted by its key alone, all of a resource share one poll; else the
    store must say which objects begin or cease to match."""
    return Selection(selection.resources) if matcher.is_by_key else selection


class _Subscriber:
    """A follower whose batches are read from a queue; after the last one comes why it is the last."""

    def __init__(self, selection: Selection, since: int, room: int) -> None:
        self.selection, self.seen = selection, since
        self._told: asyncio.Queue[WatchBatch | BaseException] = asyncio.Queue(room)

    def offer(self, batch: WatchBatch, made: Made) -> bool:
        if self._told.full():
            return False
        self._told.put_nowait(batch)
        return True

    async def catch_up(self, batch: WatchBatch) -> None:
        await self._told.put(batch)
        self.seen = batch.revision

    async def run(self, following: Coroutine[Any, Any, None]) -> None:
        try:
            await following
        except Exception as error:
            await self._told.put(error)

    async def next(self) -> WatchBatch:
        told = await self._told.get()
        if isinstance(told, BaseException):
            raise told
        return told


class _Attending(msgspec.Struct, frozen=True, eq=False):
    """A follower that keeps up, until `gone` is set."""

    follower: Follower
    matcher: Matcher
    gone: asyncio.Future[None]


class _Feed:
    """One long poll, and those who keep up with it. It has told them everything up to `_end`."""

    def __init__(self, store: StorePort, selection: Selection) -> None:
        self.selection = selection
        self.entered = 0
        self._store = store
        self._end = 0
        self._attending: dict[_Attending, None] = {}
        self._polling: asyncio.Task[None] | None = None

    def is_passed_by(self, seen: int) -> bool:
        """Whether whatever comes after `seen` is yet to come through here. A feed at rest begins there."""
        if self._polling is None:
            self._end = seen
            self._polling = asyncio.create_task(self._poll(), name=f"watch-{self.selection.resources}")
        return self._end <= seen

    async def attend(self, follower: Follower, matcher: Matcher, timeout_ms: int) -> None:
        """Have it offered what comes, until it does not keep up, or for `timeout_ms`."""
        attending = _Attending(follower, matcher, asyncio.get_running_loop().create_future())
        self._attending[attending] = None
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                await attending.gone
        except TimeoutError:
            return
        finally:
            self._attending.pop(attending, None)

    def stop(self) -> None:
        if self._polling is not None:
            self._polling.cancel()
            self._polling = None

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
                await self._tell(batch)

    async def _tell(self, batch: WatchBatch) -> None:
        """Those who begin to attend meanwhile have seen it already."""
        before, self._end = self._end, batch.revision
        made: dict[Selection, tuple[WatchBatch, Made]] = {}
        for number, attending in enumerate(list(self._attending), 1):
            if attending in self._attending and not _is_told(attending, batch, before, made):
                self._dismiss(attending)
            if number % _OFFERS_AT_ONCE == 0:
                await asyncio.sleep(0)

    def _forget(self) -> None:
        """The store no longer has what comes next: all ask it themselves, and are told so."""
        self._polling = None
        for attending in list(self._attending):
            self._dismiss(attending)

    def _dismiss(self, attending: _Attending) -> None:
        del self._attending[attending]
        if not attending.gone.done():
            attending.gone.set_result(None)


def _is_told(
    attending: _Attending, batch: WatchBatch, before: int, made: dict[Selection, tuple[WatchBatch, Made]]
) -> bool:
    """Whether it has seen the batch now; `made` for those who had seen all `before` it."""
    follower = attending.follower
    if follower.seen >= batch.revision:
        return True
    if follower.seen > before:
        newer = tuple(event for event in batch.events if event.stored.revision > follower.seen)
        return _is_offered(follower, _narrowed(WatchBatch(newer, batch.revision), attending.matcher), {})
    known = made.get(follower.selection)
    if known is None:
        known = made[follower.selection] = _narrowed(batch, attending.matcher), {}
    return _is_offered(follower, *known)


def _is_offered(follower: Follower, batch: WatchBatch, made: Made) -> bool:
    try:
        if batch.events and not follower.offer(batch, made):
            return False
    except Exception:
        _LOG.exception("a watcher could not be told of a change, and is left to read it")
        return False
    follower.seen = batch.revision
    return True


def _narrowed(batch: WatchBatch, matcher: Matcher) -> WatchBatch:
    return WatchBatch(tuple(event for event in batch.events if matcher.matches_key(event.stored.key)), batch.revision)

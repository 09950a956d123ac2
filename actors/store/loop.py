"""The one shell loop of all cores: list, watch, decide, commit, replied; list again when history is lost.

A core's error is logged and the core starts anew from a list; nothing ends the loop but `stop` or cancellation.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from actors.api.clock import Millis
from actors.api.errors import Expired, Timeout, Unavailable
from actors.api.key import Stored
from actors.reconcile.core import Core
from actors.reconcile.watch import Selection, WatchBatch
from actors.store.port import StorePort

_LOG = logging.getLogger(__name__)
_PAGE_ITEMS = 2000
_BACKOFF_SECONDS_MIN = 0.1
_BACKOFF_SECONDS_MAX = 5.0
#: A core that wants to wake in the past, or whose writes are all refused, does not spin.
_PAUSE_SECONDS = 0.02
_WAIT_SECONDS_MAX = 3600.0

Clock = Callable[[], Millis]
#: None is a nudge.
News = asyncio.Queue[WatchBatch | Exception | None]


async def run_core(
    core: Core, store: StorePort, clock: Clock, stop: asyncio.Event, nudge: asyncio.Event | None = None
) -> None:
    """Drive `core` until `stop` is set. A commit under way is then abandoned: its outcome shows at the next relist.

    Setting `nudge` asks for a decision now: something that is not in the store has changed for the core.
    """
    driving = asyncio.create_task(_drive_forever(core, store, clock, nudge), name=f"core-{type(core).__name__}")
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({driving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        driving.cancel()
        stopping.cancel()
        await asyncio.gather(driving, stopping, return_exceptions=True)


async def _drive_forever(core: Core, store: StorePort, clock: Clock, nudge: asyncio.Event | None) -> None:
    backoff = _BACKOFF_SECONDS_MIN
    while True:
        started = clock()
        try:
            await _drive(core, store, clock, nudge)
        except Expired as error:
            _LOG.info("%s: %s; listing again", type(core).__name__, error)
        except (Unavailable, Timeout, OSError) as error:
            _LOG.warning("%s: the store does not answer: %s", type(core).__name__, error)
        except Exception:
            _LOG.exception("%s failed; it starts anew from a list", type(core).__name__)
        if clock() - started > 1000 * _BACKOFF_SECONDS_MAX:
            backoff = _BACKOFF_SECONDS_MIN
        await asyncio.sleep(backoff)
        backoff = min(2 * backoff, _BACKOFF_SECONDS_MAX)


async def _drive(core: Core, store: StorePort, clock: Clock, nudge: asyncio.Event | None) -> None:
    """From one list to the next error."""
    selection = core.selection()
    items, revision = await list_all(store, selection)
    core.relist(items, revision, clock())
    news: News = asyncio.Queue()
    following = asyncio.create_task(_follow(store, selection, revision, news))
    nudging = asyncio.create_task(_pass_on(nudge, news))
    try:
        while True:
            while not news.empty():
                _observe(core, news.get_nowait(), clock)
            if not await _decide(core, store, clock):
                await _wait(core, news, clock)
    finally:
        following.cancel()
        nudging.cancel()


async def list_all(store: StorePort, selection: Selection) -> tuple[list[Stored], int]:
    """Every selected object and the revision at which they were so."""
    page = await store.list(selection, limit=_PAGE_ITEMS)
    items = list(page.items)
    while page.cursor:
        page = await store.list(selection, limit=_PAGE_ITEMS, cursor=page.cursor)
        items += page.items
    return items, page.revision


async def _pass_on(nudge: asyncio.Event | None, news: News) -> None:
    while nudge is not None:
        await nudge.wait()
        nudge.clear()
        news.put_nowait(None)


async def _follow(store: StorePort, selection: Selection, revision: int, news: News) -> None:
    """Long polls, so that a commit under way holds no change up. Ends with the first error, which it tells."""
    try:
        while True:
            batch = await store.watch(selection, revision)
            revision = batch.revision
            news.put_nowait(batch)
    except Exception as error:
        news.put_nowait(error)


def _observe(core: Core, batch: WatchBatch | Exception | None, clock: Clock) -> None:
    if isinstance(batch, Exception):
        raise batch
    if batch is not None:
        core.observe(batch, clock())


async def _decide(core: Core, store: StorePort, clock: Clock) -> bool:
    """One decision, carried out. False when there was nothing to do."""
    writes = core.decide(clock())
    if not writes:
        return False
    replies = await store.commit(writes)
    core.replied(writes, replies, clock())
    if all(reply.error is not None for reply in replies):
        await asyncio.sleep(_PAUSE_SECONDS)
    return True


async def _wait(core: Core, news: News, clock: Clock) -> None:
    """For a change, or for the time at which the core wants to be asked again."""
    wake_at = core.wake_at()
    seconds = _WAIT_SECONDS_MAX if wake_at is None else (wake_at - clock()) / 1000
    try:
        async with asyncio.timeout(min(max(seconds, _PAUSE_SECONDS), _WAIT_SECONDS_MAX)):
            batch = await news.get()
    except TimeoutError:
        return
    _observe(core, batch, clock)

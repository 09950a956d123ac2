"""The door's one call: a request is classified, takes its seats or waits for them, or is told to come again later.

Runs in the gateway's loop; follows the flow schemas and priority levels as they are in the store. Until they have been
read, and where it is turned off, everybody passes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from time import perf_counter

import msgspec

from actors.api.clock import Millis
from actors.api.codec import lens
from actors.api.errors import ApiError, Expired, TooManyRequests
from actors.api.key import Key, Stored
from actors.api.rbac import Attributes
from actors.gateway.auth.user import User
from actors.gateway.config import FlowConfig
from actors.gateway.flow.meter import CANCELLED, NO_SEATS, QUEUE_FULL, TIME_OUT, FlowMeter, who_of
from actors.gateway.flow.objects import plan_defaults, plan_status
from actors.gateway.flow.queues import Pool, Ticket
from actors.gateway.flow.rate import RateLimits
from actors.gateway.flow.schemas import LEVELS, SCHEMAS, Classifier, Flow, FlowSchema, PriorityLevel
from actors.gateway.telemetry.series import Counter, Histogram
from actors.reconcile.watch import EventType, Selection
from actors.store.port import StorePort

_LOG = logging.getLogger(__name__)
_SELECTION = Selection((SCHEMAS, LEVELS))
_RETRY_SECONDS = 1.0
_BUSY = "the server has received too many requests and has asked us to try again later"
#: A seat stands for about so much of a list's text, or of a body; a wide list takes several.
BYTES_A_SEAT = 128 << 10
SEATS_MAX = 10
_SIZES_MAX = 10_000


class Pass:
    """A request's, until `leave`. `headers` of its answer name the objects by which it was classified; `waited`: for
    how many seconds it waited for its seats."""

    __slots__ = ("_arrived", "_control", "_is_counted", "_ticket", "_who", "headers", "started", "waited")

    def __init__(self, control: FlowControl, flow: Flow, ticket: Ticket) -> None:
        self._control, self.headers, self._ticket = control, flow.headers, ticket
        self._who, self._arrived, self.waited = who_of(flow), perf_counter(), 0.0
        self.started: asyncio.Future[None] | None = None
        self._is_counted = ticket.is_running
        if ticket.is_running:
            control.meter.began(self._who, ticket.seats, 0)
        else:
            control.meter.queued(self._who, 1)

    def begin(self) -> None:
        """It has waited, and may."""
        self._is_counted, self.waited = True, perf_counter() - self._arrived
        self._control.meter.queued(self._who, -1)
        self._control.meter.began(self._who, self._ticket.seats, self.waited)

    def leave(self, *, is_watch: bool = False, refused: str = CANCELLED) -> None:
        """Its seats are the next one's; `refused`: why it never had any. A second call does nothing."""
        if self._ticket.is_over:
            return
        self._control.finish(self._ticket)
        taken, meter = perf_counter() - self._arrived, self._control.meter
        if self._is_counted:
            meter.ended(self._who, self._ticket.seats, taken - self.waited, is_watch=is_watch)
        else:
            meter.queued(self._who, -1)
            meter.refused(self._who, refused, taken)


class FlowControl:
    """Used within one event loop."""

    def __init__(self, store: StorePort, config: FlowConfig, clock: Callable[[], Millis]) -> None:
        self._store, self._config, self._clock = store, config, clock
        self._pool, self.meter = Pool(config.seats), FlowMeter()
        self._rates = RateLimits(config.client_requests_per_second, config.client_burst)
        self._objects: dict[Key, FlowSchema | PriorityLevel] = {}
        self._stored: dict[Key, Stored] = {}
        self._classifier = Classifier((), {})
        self._passes: dict[Ticket, asyncio.Future[None]] = {}
        self._is_turning = False
        self._sizes: dict[tuple[str, str, bool], int] = {}
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self._config.enabled:
            self._running = asyncio.create_task(self._run(), name="flow-control")

    async def stop(self) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    def arrive(self, user: User, asked: Attributes, seats: int = 1) -> Pass | None:
        """None: nothing to wait for, nothing to give back. Raises TooManyRequests."""
        if self._rates.per_second and not user.is_master and (wait_ms := self._rates.take(user.name, self._clock())):
            message = f"the client {user.name!r} sends more than {self._rates.per_second:g} requests a second"
            raise TooManyRequests(message, retry_after_seconds=max(1, -(-wait_ms // 1000)))
        flow = self._classifier.classify(user, asked)
        level = self._pool.levels.get(flow.level)
        if level is None:
            return None
        ticket = level.arrive(flow.key, seats)
        if ticket is None:
            self.meter.refused(who_of(flow), QUEUE_FULL if level.queues else NO_SEATS)
            raise TooManyRequests(_BUSY, retry_after_seconds=1)
        if not ticket.is_running:
            self._begin(level.next_runs())
        self._watch_turn()
        found = Pass(self, flow, ticket)
        if not ticket.is_running:
            found.started = self._passes[ticket] = asyncio.get_running_loop().create_future()
        return found

    async def wait(self, granted: Pass) -> None:
        """Until it may begin. Raises TooManyRequests after the configured time."""
        assert granted.started is not None
        try:
            async with asyncio.timeout(self._config.queue_seconds):
                await granted.started
        except TimeoutError:
            granted.leave(refused=TIME_OUT)
            raise TooManyRequests(_BUSY, retry_after_seconds=1) from None
        granted.begin()

    def series(self) -> Iterator[Counter | Histogram]:
        return self.meter.series(self._pool.levels.values())

    def finish(self, ticket: Ticket) -> None:
        self._passes.pop(ticket, None)
        self._begin(self._pool.finish(ticket))

    def seats_of(self, group: str, plural: str, *, limited: bool) -> int:
        """How many a list takes, by what the last one like it weighed."""
        return min(SEATS_MAX, 1 + self._sizes.get((group, plural, limited), 0) // BYTES_A_SEAT)

    def weigh(self, group: str, plural: str, size: int, *, limited: bool) -> None:
        if len(self._sizes) >= _SIZES_MAX:
            self._sizes.clear()
        self._sizes[group, plural, limited] = size

    def _begin(self, tickets: Iterable[Ticket]) -> None:
        for ticket in tickets:
            started = self._passes.pop(ticket, None)
            if started is not None and not started.done():
                started.set_result(None)
        self._watch_turn()

    def _watch_turn(self) -> None:
        """The next wide request begins when the loop has looked at its connections once more."""
        if self._pool.is_turn_taken and not self._is_turning:
            self._is_turning = True
            asyncio.get_running_loop().call_soon(self._end_turn)

    def _end_turn(self) -> None:
        self._is_turning = False
        self._begin(self._pool.next_turn())

    async def _run(self) -> None:
        revision = 0
        while True:
            try:
                if not revision:
                    revision = await self._read()
                batch = await self._store.watch(_SELECTION, revision)
                for event in batch.events:
                    self._put(event.stored, gone=event.type is EventType.DELETED)
                revision = batch.revision
                if batch.events:
                    await self._settle()
            except Expired:
                revision = 0
            except (ApiError, OSError) as error:
                _LOG.warning("priority and fairness waits for the store: %s", error)
                await asyncio.sleep(_RETRY_SECONDS)

    async def _read(self) -> int:
        page = await self._store.list(_SELECTION)
        self._objects, self._stored = {}, {}
        for stored in page.items:
            self._put(stored, gone=False)
        await self._settle()
        return page.revision

    def _put(self, stored: Stored, *, gone: bool) -> None:
        self._objects.pop(stored.key, None)
        self._stored.pop(stored.key, None)
        if not gone:
            shape: type[FlowSchema | PriorityLevel] = FlowSchema if stored.key.resource == SCHEMAS else PriorityLevel
            try:
                self._objects[stored.key] = lens(stored, shape)
                self._stored[stored.key] = stored
            except msgspec.ValidationError as error:
                _LOG.warning("%s classifies nothing: %s", stored.key, error)

    async def _settle(self) -> None:
        """The objects as they are now, then what they should be and their status should say."""
        levels = {key.name: obj for key, obj in self._objects.items() if isinstance(obj, PriorityLevel)}
        schemas = [(key, obj) for key, obj in self._objects.items() if isinstance(obj, FlowSchema)]
        self._classifier = Classifier((schema for _, schema in schemas), levels)
        self._begin(self._pool.configure(levels))
        writes = [*plan_defaults(self._stored), *plan_status(schemas, levels, self._clock())]
        if writes:
            await self._store.commit(writes)

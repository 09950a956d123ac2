"""Who of those that wait goes first: seats per priority level, queues per flow, seats lent by idle levels. Pure.

A flow's requests are dealt to the least filled of a few queues of its own (shuffle sharding), so that one that floods
fills its hand and no other's. Of the queues the one that has been served least comes next (start-time fair queuing).
Levels borrow what others may lend and do not use, and give it back as requests end. A wide request keeps the one
processor of a gateway busy, so but one begins a turn of its loop, and all of them have half of a level's seats at the
most; who asks for little goes between them.
"""

from __future__ import annotations

import hashlib
import math
from collections import deque
from collections.abc import Iterable, Iterator, Mapping

from actors.gateway.flow.schemas import Limited, PriorityLevel


class Ticket:
    """A request's place. `seats`: how many it takes; `is_wide`: several; `is_running`: it has them."""

    __slots__ = ("is_over", "is_running", "is_wide", "level", "queue", "seats")

    def __init__(self, level: Level, seats: int, *, is_wide: bool = False) -> None:
        self.level, self.seats, self.is_wide = level, seats, is_wide
        self.queue: Queue | None = None
        self.is_running = self.is_over = False


class Queue:
    """`served`: the virtual time at which its next request would start."""

    __slots__ = ("served", "waiting")

    def __init__(self) -> None:
        self.served = 0.0
        self.waiting: deque[Ticket] = deque()


class Level:
    """One priority level of a pool. `nominal`: its own seats; `lendable` of them others may use; `borrowed_max`."""

    def __init__(self, name: str, pool: Pool, limited: Limited | None) -> None:
        self.name, self._pool = name, pool
        self.used = self._wide = 0
        self._now = 0.0
        self.queues: list[Queue] = []
        self._active: dict[Queue, None] = {}
        self._hands: dict[str, tuple[Queue, ...]] = {}
        self.configure(limited, 0)

    def configure(self, limited: Limited | None, nominal: int) -> None:
        """Those who wait keep their places, unless there is to be another number of queues."""
        self.limited, self.nominal = limited, nominal
        self.lendable = nominal * (limited.lendable_percent if limited else 0) // 100
        percent = limited.borrowing_limit_percent if limited else None
        self.borrowed_max = self._pool.seats if percent is None else nominal * percent // 100
        queuing = limited.limit_response.queuing if limited and limited.limit_response.type == "Queue" else None
        count = queuing.queues if queuing else 0
        self._hand_size = min(queuing.hand_size, count) if queuing else 0
        self._length_max = queuing.queue_length_limit if queuing else 0
        self._hands = {}
        if count != len(self.queues):
            kept = [ticket for queue in self.queues for ticket in queue.waiting]
            self.queues = [Queue() for _ in range(max(count, int(bool(kept))))]
            self._active = {}
            for index, ticket in enumerate(kept):
                self._enqueue(ticket, self.queues[index % len(self.queues)])

    @property
    def has_waiting(self) -> bool:
        return bool(self._active)

    def arrive(self, flow: str, seats: int) -> Ticket | None:
        """Its ticket, running or waiting; None: refused, for there is no room to wait in."""
        if self.limited is None:
            ticket = Ticket(self, 0)
            ticket.is_running = True
            return ticket
        ticket = Ticket(self, max(1, min(seats, self.nominal)), is_wide=seats > 1)
        if not self._active and self._fits(ticket):
            return self._run(ticket)
        if not self.queues:
            return None
        queue = min(self._hand(flow), key=lambda queue: len(queue.waiting))
        if len(queue.waiting) >= self._length_max:
            return None
        self._enqueue(ticket, queue)
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """It no longer has, or waits for, its seats."""
        if ticket.is_running:
            self.used -= ticket.seats
            self._wide -= ticket.seats * ticket.is_wide
        elif ticket.queue is not None:
            ticket.queue.waiting.remove(ticket)
            if not ticket.queue.waiting:
                del self._active[ticket.queue]

    def next_runs(self) -> Iterator[Ticket]:
        """Begin all that there are seats for, in order. One that lacks seats is not overtaken: its level waits with it;
        but a wide one that waits for its turn is."""
        while (queue := self._next_queue()) is not None and self._fits(queue.waiting[0]):
            ticket = queue.waiting.popleft()
            if not queue.waiting:
                del self._active[queue]
            self._now = queue.served
            queue.served += ticket.seats
            yield self._run(ticket)

    def _enqueue(self, ticket: Ticket, queue: Queue) -> None:
        """What has not been waited in for a while has no credit for that."""
        if not queue.waiting:
            queue.served = max(queue.served, self._now)
            self._active[queue] = None
        ticket.queue = queue
        queue.waiting.append(ticket)

    def _next_queue(self) -> Queue | None:
        queues: Iterable[Queue] = self._active
        if self._pool.is_turn_taken:
            queues = (queue for queue in queues if not queue.waiting[0].is_wide)
        return min(queues, key=lambda queue: queue.served, default=None)

    def _run(self, ticket: Ticket) -> Ticket:
        ticket.is_running = True
        self._pool.is_turn_taken = self._pool.is_turn_taken or ticket.is_wide
        self.used += ticket.seats
        self._wide += ticket.seats * ticket.is_wide
        return ticket

    def _fits(self, ticket: Ticket) -> bool:
        used = self.used + ticket.seats
        if ticket.is_wide:
            if self._pool.is_turn_taken and self.queues:
                return False
            return self._wide + ticket.seats <= max(ticket.seats, self.room() // 2) and used <= self.room()
        return used <= self.nominal or used <= self.room()

    def room(self) -> int:
        """The seats that it may have now: its own, and what others lend."""
        return max(
            self.nominal, min(self.nominal + self.borrowed_max, self._pool.seats - self._pool.kept_by_others(self))
        )

    def _hand(self, flow: str) -> tuple[Queue, ...]:
        hand = self._hands.get(flow)
        if hand is None:
            if len(self._hands) > 10_000:
                self._hands.clear()
            hand = self._hands[flow] = tuple(self.queues[i] for i in deal(flow, len(self.queues), self._hand_size))
        return hand


class Pool:
    """All levels of a server, which share `seats`. `is_turn_taken`: a wide request has begun since `next_turn`."""

    def __init__(self, seats: int) -> None:
        self.seats = seats
        self.levels: dict[str, Level] = {}
        self.is_turn_taken = False

    def configure(self, levels: Mapping[str, PriorityLevel]) -> list[Ticket]:
        """Shares of the seats, rounded up. A level that is gone stays for those who are in it. Who comes to run."""
        limits = {name: level.limited for name, level in levels.items()}
        total = sum(limited.nominal_concurrency_shares for limited in limits.values() if limited is not None)
        for name, limited in limits.items():
            share = limited.nominal_concurrency_shares / total if limited is not None and total else 0
            level = self.levels.get(name) or self.levels.setdefault(name, Level(name, self, limited))
            level.configure(limited, math.ceil(self.seats * share))
        idle = (name for name, level in self.levels.items() if not level.used and not level.has_waiting)
        for name in [name for name in idle if name not in limits]:
            del self.levels[name]
        return self._next_runs()

    def next_turn(self) -> list[Ticket]:
        """Who comes to run, when all that was ready has had its time."""
        self.is_turn_taken = False
        return self._next_runs()

    def finish(self, ticket: Ticket) -> list[Ticket]:
        """It has ended, or waits no longer. Those who come to run: its own level's first, which lent a seat others
        may have had. A second call does nothing."""
        if ticket.is_over:
            return []
        ticket.is_over = True
        ticket.level.leave(ticket)
        return [*ticket.level.next_runs(), *self._next_runs()]

    def _next_runs(self) -> list[Ticket]:
        """In the order of the shares that levels have used: of two that wait for one turn neither waits for ever."""
        levels = [level for level in self.levels.values() if level.has_waiting]
        levels.sort(key=_used_share)
        return [ticket for level in levels for ticket in level.next_runs()]

    def kept_by_others(self, level: Level) -> int:
        """The seats that the others use, or may not lend."""
        return sum(max(other.used, other.nominal - other.lendable) for other in self._limited() if other is not level)

    def _limited(self) -> Iterable[Level]:
        return (level for level in self.levels.values() if level.limited is not None)


def _used_share(level: Level) -> float:
    return level.used / max(1, level.nominal)


def deal(flow: str, deck: int, hand: int) -> list[int]:
    """`hand` different ones of `deck`, the same for the same flow (apiserver/pkg/util/shufflesharding)."""
    entropy = int.from_bytes(hashlib.blake2b(flow.encode(), digest_size=16).digest())
    cards: list[int] = []
    for size in range(deck, deck - hand, -1):
        entropy, card = divmod(entropy, size)
        for taken in sorted(cards):
            card += taken <= card
        cards.append(card)
    return cards

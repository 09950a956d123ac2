"""Writes on top of a log: admission decides each, the outcome gets a revision, nothing is shown until it is durable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from actors.api.clock import Millis
from actors.api.codec import Object, encode
from actors.api.errors import ApiError, BadRequest, TooLarge
from actors.api.key import Key, Stored
from actors.reconcile.actions import Reply, StoreWrite
from actors.store.admission import Context, Keep, Outcome, Put, admit
from actors.store.ids import Ids
from actors.store.log import Log
from actors.store.record import Answer, Batch, Record

#: What hostile input makes of code that expects a Kubernetes object. It is the client's fault, so it is answered.
_MALFORMED = (TypeError, ValueError, KeyError, AttributeError, IndexError, RecursionError, OverflowError)


class Request(msgspec.Struct, frozen=True, array_like=True):
    """One commit as its caller made it. `user`: whose writes they are, where a write itself does not tell."""

    writes: tuple[StoreWrite, ...]
    idempotency_key: str = ""
    user: str = ""


class Plan(msgspec.Struct, frozen=True):
    """What is to become durable, and what each request is told once it is."""

    batch: Batch
    replies: tuple[tuple[Reply, ...], ...]


def plan(log: Log, requests: Sequence[Request], now: Millis, ids: Ids) -> Plan:
    """Carry out the requests in order, each write seeing those before it. `log` is not changed."""
    draft = Draft(log, now, ids)
    replies = tuple(draft.commit(request) for request in requests)
    return Plan(Batch(tuple(draft.records), tuple(draft.answers.values())), replies)


class Draft:
    def __init__(self, log: Log, now: Millis, ids: Ids) -> None:
        self.records: list[Record] = []
        self.answers: dict[str, Answer] = {}
        self._log = log
        self._revision = log.revision
        self._changed: dict[Key, Stored | None] = {}
        self._context = Context(self.lookup, now, ids, self.scan)

    def lookup(self, key: Key) -> Stored | None:
        return self._changed[key] if key in self._changed else self._log.find(key)

    def scan(self, resource: str) -> Iterator[Stored]:
        """All objects of a resource, in no order."""
        keys = {*self._log.keys(resource), *(key for key in self._changed if key.resource == resource)}
        return (stored for key in keys if (stored := self.lookup(key)) is not None)

    def commit(self, request: Request) -> tuple[Reply, ...]:
        """The replies; those of the first time when the idempotency key is known."""
        key = request.idempotency_key
        known = self.answers.get(key) or self._log.answer(key) if key else None
        if known is not None:
            return known.replies
        replies = tuple(self.write(write, request.user) for write in request.writes)
        if key:
            self.answers[key] = Answer(key, replies, self._revision, self._context.now)
        return replies

    def write(self, write: StoreWrite, user: str) -> Reply:
        try:
            return self._carry_out(write, admit(write, self._context), user)
        except ApiError as error:
            return Reply(error=error.to_status(), changed=False)
        except _MALFORMED as error:
            refusal = BadRequest(f"the request cannot be read as what it should be: {type(error).__name__}: {error}")
            return Reply(error=refusal.to_status(), changed=False)

    def _carry_out(self, write: StoreWrite, outcome: Outcome, user: str) -> Reply:
        if isinstance(outcome, Keep):
            return Reply(stored=outcome.stored, changed=False)
        removed, previous = not isinstance(outcome, Put), self.lookup(outcome.key)
        body = self._encode(outcome.object)
        uid = previous.uid if previous else outcome.object["metadata"]["uid"]
        if write.dry_run:
            revision, created = (previous.revision, previous.created_revision) if previous else (0, 0)
            return Reply(stored=Stored(outcome.key, revision, created, uid, body), removed=removed)
        self._revision += 1
        created = previous.created_revision if previous else self._revision
        stored = Stored(outcome.key, self._revision, created, uid, body)
        self._changed[stored.key] = None if removed else stored
        self.records.append(Record(stored, removed, self._context.now, write.user or user, write.manager))
        return Reply(stored=stored, removed=removed)

    def _encode(self, obj: Object) -> bytes:
        body, limit = encode(obj), self._log.config.object_bytes_max
        if len(body) > limit:
            raise TooLarge(f"the object is too large: {len(body)} bytes, at most {limit} are stored")
        return body

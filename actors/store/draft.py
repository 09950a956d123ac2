"""Writes on top of a log: admission decides each, the outcome gets a revision, nothing is shown until it is durable."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from actors.api.clock import Millis
from actors.api.codec import Object, encode
from actors.api.errors import ApiError, BadRequest, TooLarge
from actors.api.key import Key, Stored
from actors.reconcile.actions import Reply, StoreWrite
from actors.store.admission import Context, Keep, Notes, Outcome, Put, Remove, admit
from actors.store.admission.plugin import Plugins
from actors.store.admission.twins import Twins
from actors.store.ids import Ids
from actors.store.log import Log
from actors.store.record import Answer, Batch, Record

_REMEMBERED_CHARS_MAX = 1_000
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


def plan(log: Log, requests: Sequence[Request], now: Millis, ids: Ids, plugins: Plugins) -> Plan:
    """Carry out the requests in order, each write seeing those before it. `log` is not changed."""
    draft = Draft(log, now, ids, plugins)
    replies = tuple(draft.commit(request) for request in requests)
    return Plan(Batch(tuple(draft.records), tuple(draft.answers.values())), replies)


class Draft:
    def __init__(self, log: Log, now: Millis, ids: Ids, plugins: Plugins) -> None:
        self.records: list[Record] = []
        self.answers: dict[str, Answer] = {}
        self._log = log
        self._revision = log.revision
        self._changed: dict[Key, Stored | None] = {}
        self._changed_keys: dict[str, dict[Key, None]] = {}
        self._twins = Twins()
        self._context = Context(
            self.lookup, self.scan, now, ids, plugins, self._twins, node_ports=log.config.node_ports
        )

    def lookup(self, key: Key) -> Stored | None:
        return self._changed[key] if key in self._changed else self._log.find(key)

    def scan(self, resource: str, namespace: str) -> Sequence[Stored]:
        """All objects of a resource ("": in all API namespaces), in no order."""
        keys, changed = self._log.keys(resource, namespace), self._changed_keys.get(resource)
        if changed:
            keys = [*dict.fromkeys((*keys, *(key for key in changed if not namespace or key.namespace == namespace)))]
        return [stored for key in keys if (stored := self.lookup(key)) is not None] if keys else ()

    def commit(self, request: Request) -> tuple[Reply, ...]:
        """The replies; those of the first time when the idempotency key is known."""
        key = request.idempotency_key
        known = self.answers.get(key) or self._log.answer(key) if key else None
        if known is not None:
            return known.replies
        replies = tuple(self.write(write, request.user) for write in request.writes)
        if key and not all(write.dry_run for write in request.writes):  # to try again changes nothing
            self.answers[key] = Answer(key, tuple(map(_remembered, replies)), self._revision, self._context.now)
        return replies

    def write(self, write: StoreWrite, user: str) -> Reply:
        notes = Notes()
        context = msgspec.structs.replace(self._context, user=write.user or user, notes=notes)
        try:
            reply = self._carry_out(write, admit(write, context), context.user)
        except ApiError as error:
            reply = Reply(error=error.to_status(), changed=False)
        except _MALFORMED as error:
            refusal = BadRequest(f"the request cannot be read as what it should be: {type(error).__name__}: {error}")
            reply = Reply(error=refusal.to_status(), changed=False)
        if notes.warnings or notes.audit:
            return msgspec.structs.replace(reply, warnings=tuple(notes.warnings), audit=notes.audit)
        return reply

    def _carry_out(self, write: StoreWrite, outcome: Outcome, user: str) -> Reply:
        if isinstance(outcome, Keep):
            return Reply(stored=outcome.stored, changed=False)
        removed = isinstance(outcome, Remove)
        stored = self._stored(outcome)
        if write.dry_run:
            return Reply(stored=stored, removed=removed)
        also = [(self._stored(other), isinstance(other, Remove)) for other in outcome.also]
        stored = self._record(stored, removed, user, write.manager)
        for other, is_gone in also:
            self._record(other, is_gone, user, write.manager)
        return Reply(stored=stored, removed=removed)

    def _stored(self, outcome: Put | Remove) -> Stored:
        """As it was numbered before: what a dry run is shown."""
        previous, body = self.lookup(outcome.key), self._encode(outcome.object)
        if previous is None:
            return Stored(outcome.key, 0, 0, outcome.object["metadata"]["uid"], body)
        return Stored(outcome.key, previous.revision, previous.created_revision, previous.uid, body)

    def _record(self, stored: Stored, removed: bool, user: str, manager: str) -> Stored:
        """At the next revision."""
        self._revision += 1
        key, created = stored.key, stored.created_revision or self._revision
        stored = Stored(key, self._revision, created, stored.uid, stored.body)
        self._changed[key] = None if removed else stored
        self._changed_keys.setdefault(key.resource, {})[key] = None
        self._twins.forget(key.resource)
        self.records.append(Record(stored, removed, self._context.now, user, manager))
        return stored

    def _encode(self, obj: Object) -> bytes:
        body, limit = encode(obj), self._log.config.object_bytes_max
        if len(body) > limit:
            raise TooLarge(f"the object is too large: {len(body)} bytes, at most {limit} are stored")
        return body


def _remembered(reply: Reply) -> Reply:
    """What a refusal says at length is not kept for a repeat."""
    message = reply.error.get("message", "") if reply.error else ""
    if reply.error is None or len(message) <= _REMEMBERED_CHARS_MAX:
        return reply
    details = {name: value for name, value in reply.error.get("details", {}).items() if name != "causes"}
    error = {**reply.error, "message": f"{message[:_REMEMBERED_CHARS_MAX]}...", "details": details}
    return msgspec.structs.replace(reply, error=error)

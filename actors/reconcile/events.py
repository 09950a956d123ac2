"""Events as values: an `Emit` becomes one Event object, its repeats become that object's `count`.

The name is derived from what is said about whom, so a repeat after a crash finds its predecessor instead of making a
second one. A repeat is written at most once every `refresh_ms`. Losing an Event is allowed; blocking on one is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

import msgspec

from actors.api.clock import Millis, format_micro_time, format_time
from actors.api.codec import Object, lens
from actors.api.key import Key
from actors.api.kinds import EVENT, kind_of
from actors.api.meta import Resource
from actors.api.text import shorten
from actors.reconcile.actions import Create, Emit, Patch, Reply, StoreWrite

_NAME_CHARS_MAX = 230


class Event(Resource, frozen=True):
    """Lens over core/v1 Event."""

    count: int = 1
    last_timestamp: str | None = None


class _Record(msgspec.Struct):
    emit: Emit
    first_ms: Millis
    last_ms: Millis
    due_ms: Millis
    count: int = 1
    exists: bool = False
    adopted: bool = True  # False while an Event of that name exists whose count we do not know yet


def event_key(emit: Emit, component: str) -> Key:
    """Where the Event lives. Events about cluster-scoped objects live in `default`, as in Kubernetes."""
    said = "\0".join((str(emit.regarding), emit.uid, component, emit.type, emit.reason, emit.message))
    digest = blake2b(said.encode(), digest_size=8).hexdigest()
    return Key(
        EVENT.resource, emit.regarding.namespace or "default", f"{emit.regarding.name[:_NAME_CHARS_MAX]}.{digest}"
    )


class EventRecorder:
    """Aggregates the Events of one component. Remembers the last `records_max` of them."""

    def __init__(self, component: str, refresh_ms: Millis = 10_000, records_max: int = 4096) -> None:
        self._component = component
        self._refresh_ms = refresh_ms
        self._records_max = records_max
        self._records: dict[Key, _Record] = {}
        self._dirty: dict[Key, None] = {}

    def record(self, emit: Emit, now: Millis) -> None:
        key = event_key(emit, self._component)
        record = self._records.get(key)
        if record is None:
            self._records[key] = _Record(emit, now, now, now)
            self._forget_oldest()
        else:
            record.count += 1
            record.last_ms = now
        self._dirty[key] = None

    def flush(self, now: Millis) -> list[StoreWrite]:
        """What to write now: an Event's first appearance at once, its repeats when their time has come."""
        due = [key for key in self._dirty if not 0 < self._records[key].due_ms - now <= self._refresh_ms]
        for key in due:
            del self._dirty[key]
            self._records[key].due_ms = now + self._refresh_ms
        return [self._write(key, self._records[key]) for key in due]

    def next_at(self) -> Millis | None:
        return min((self._records[key].due_ms for key in self._dirty), default=None)

    def replied(self, writes: Sequence[StoreWrite], replies: Sequence[Reply], now: Millis) -> None:
        """What became of the writes of `flush`."""
        for write, reply in zip(writes, replies, strict=True):
            key = _key_of(write)
            record = self._records.get(key)
            if record is not None:
                self._learn(key, record, reply, now)

    def _learn(self, key: Key, record: _Record, reply: Reply, now: Millis) -> None:
        reason = (reply.error or {}).get("reason")
        if reason == "AlreadyExists":
            record.exists, record.adopted, record.due_ms = True, False, now
            self._dirty[key] = None
        elif reason == "NotFound" and record.exists:
            record.exists, record.count, record.first_ms, record.due_ms = False, 1, record.last_ms, now
            self._dirty[key] = None
        elif reason is not None:
            self._records.pop(key, None)
            self._dirty.pop(key, None)
        elif not record.adopted and reply.stored is not None:
            record.count, record.adopted = record.count + lens(reply.stored, Event).count, True
            self._dirty[key] = None
        else:
            record.exists = True

    def _write(self, key: Key, record: _Record) -> StoreWrite:
        if not record.exists:
            return Create(resource=key.resource, namespace=key.namespace, object=self._object(key, record))
        patch: Object = {"lastTimestamp": format_time(record.last_ms)}
        if record.adopted:
            patch["count"] = record.count
        return Patch(key=key, patch=patch)

    def _object(self, key: Key, record: _Record) -> Object:
        emit, kind = record.emit, kind_of(record.emit.regarding.resource)
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": key.name, "namespace": key.namespace},
            "involvedObject": {
                "apiVersion": kind.api_version,
                "kind": kind.kind,
                "name": emit.regarding.name,
                "uid": emit.uid,
                **({"namespace": emit.regarding.namespace} if emit.regarding.namespace else {}),
            },
            "reason": emit.reason,
            "action": emit.reason,
            "message": shorten(emit.message),
            "type": emit.type,
            "source": {"component": self._component},
            "reportingComponent": self._component,
            "reportingInstance": self._component,
            "eventTime": format_micro_time(record.first_ms),
            "firstTimestamp": _time_text(record.first_ms),
            "lastTimestamp": _time_text(record.last_ms),
            "count": record.count,
        }

    def _forget_oldest(self) -> None:
        while len(self._records) > self._records_max:
            oldest = next(iter(self._records))
            del self._records[oldest]
            self._dirty.pop(oldest, None)


#: Many Events of one decision bear one time.
_time_text = lru_cache(maxsize=16)(format_time)


def _key_of(write: StoreWrite) -> Key:
    if isinstance(write, Create):
        return Key(write.resource, write.namespace, write.object["metadata"]["name"])
    return write.key

"""The state of the store: every object now, and every change above a horizon (MVCC). Pure; changed only by `apply`.

    plan (draft.py) -> Batch -> the backend makes it durable -> apply -> readers and watchers see it

A batch that never became durable was never seen. Old states are read by undoing the changes made since.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from actors.api.clock import Millis, format_time
from actors.api.errors import Cause, Expired, Timeout
from actors.api.key import Key, Stored
from actors.store.config import StoreConfig
from actors.store.matching import ALL_TOPIC, node_of, topics_of
from actors.store.record import Answer, Batch, Compaction, Record, Recovered
from actors.store.shelf import Shelf

#: History and answers younger than this stay, whatever their number: a client that repeats a commit finds its answer.
RETENTION_MS_MIN = 60_000
#: So many times the bytes that are to be kept, the last minute is not spared: somebody fills the memory.
_FLOOD = 4
#: One compaction drops no more changes than this, for the disk is busy meanwhile.
_DROPPED_MAX = 5000


class Change(NamedTuple):
    """A record and the state before it; None when the object did not exist."""

    revision: int
    record: Record
    previous: Stored | None


class Log:
    def __init__(self, config: StoreConfig) -> None:
        self.config = config
        self.revision = 0
        self.horizon = 0
        self.horizon_at: Millis = 0
        self._shelves: dict[str, Shelf] = {}
        self._keys_by_node: dict[str, dict[Key, None]] = {}
        self._topics: dict[str, list[Change]] = {ALL_TOPIC: []}
        self._answers: dict[str, Answer] = {}
        self._history_bytes = 0

    @classmethod
    def recover(cls, recovered: Recovered, config: StoreConfig) -> Log:
        """The log that a backend holds."""
        log = cls(config)
        log.horizon, log.horizon_at = recovered.horizon, recovered.horizon_at
        for record in recovered.records:
            log._apply_record(record)
        log.revision = max(log.revision, recovered.revision, recovered.horizon)
        log._answers = {answer.key: answer for answer in recovered.answers}
        return log

    # --- reading now --------------------------------------------------------------------------------------------

    def find(self, key: Key) -> Stored | None:
        shelf = self._shelves.get(key.resource)
        return shelf.objects.get(key) if shelf else None

    def answer(self, idempotency_key: str) -> Answer | None:
        return self._answers.get(idempotency_key)

    def resources(self) -> list[str]:
        return sorted(self._shelves)

    def keys(self, resource: str, namespace: str = "", after: Key | None = None) -> Sequence[Key]:
        """Sorted."""
        shelf = self._shelves.get(resource)
        return shelf.keys(namespace, after) if shelf else ()

    def keys_on_node(self, node: str) -> Sequence[Key]:
        """Of the pods bound to it ("": unbound), sorted."""
        return sorted(self._keys_by_node.get(node, ()))

    def count(self) -> int:
        return sum(len(shelf.objects) for shelf in self._shelves.values())

    # --- reading what was ---------------------------------------------------------------------------------------

    def check_retained(self, revision: int) -> None:
        """Raises Expired below the horizon, Timeout for a revision that has not come yet."""
        if revision < self.horizon:
            raise Expired(f"too old resource version: {revision} ({self.horizon}): {self.oldest}")
        if revision > self.revision:
            raise too_large_revision(revision, self.revision)

    @property
    def oldest(self) -> str:
        """For messages: how far back the log can be read."""
        first = self._topics[ALL_TOPIC][:1]
        revision, at = self.horizon, self.horizon_at
        if not revision and first:
            revision, at = first[0].revision, first[0].record.at
        return f"the oldest retained revision is {revision}, of {format_time(at)}"

    def revision_at(self, at: Millis) -> int:
        """The last revision that was committed at or before `at`, by the store's clock; also where that clock was set
        back. Raises Expired for a time before what is retained."""
        for change in reversed(self._topics[ALL_TOPIC]):
            if change.record.at <= at:
                return change.revision
        if not self.horizon or at < self.horizon_at:
            raise Expired(f"nothing is retained of {format_time(at)}: {self.oldest}")
        return self.horizon

    def changes_since(self, topic: str, revision: int) -> Iterator[Change]:
        """In order. Call `check_retained` first."""
        changes = self._topics.get(topic, [])
        for at in range(bisect_right(changes, revision, key=_revision_of), len(changes)):
            yield changes[at]

    def undo_to(self, revision: int, topic: str) -> dict[Key, Stored | None]:
        """The state at `revision` of every object of the topic that has changed since."""
        undone: dict[Key, Stored | None] = {}
        for change in self.changes_since(topic, revision):
            undone.setdefault(change.record.stored.key, change.previous)
        return undone

    # --- changing -----------------------------------------------------------------------------------------------

    def apply(self, batch: Batch) -> set[str]:
        """Show a batch that is durable. Returns the topics that have news."""
        topics: set[str] = set()
        for record in batch.records:
            topics |= self._apply_record(record)
        self._answers.update((answer.key, answer) for answer in batch.answers)
        return topics

    def _apply_record(self, record: Record) -> set[str]:
        key, previous = record.stored.key, self.find(record.stored.key)
        before, after = node_of(previous), node_of(record.stored)
        self._index(key, before, None if record.removed else after)
        shelf = self._shelves.get(key.resource)
        if shelf is None:
            shelf = self._shelves[key.resource] = Shelf(key.resource)
        if record.removed:
            shelf.remove(key)
        else:
            shelf.put(record.stored)
        self.revision = record.revision
        if record.revision <= self.horizon:
            return set()
        topics = topics_of(record.stored, {before, after})
        for topic in topics:
            self._topics.setdefault(topic, []).append(Change(record.revision, record, previous))
        self._history_bytes += len(record.stored.body)
        return topics

    def _index(self, key: Key, before: str | None, after: str | None) -> None:
        """A pod has moved from one node's keys to another's; None is no pod at all."""
        if before == after:
            return
        if before is not None:
            del self._keys_by_node[before][key]
            if not self._keys_by_node[before]:
                del self._keys_by_node[before]
        if after is not None:
            self._keys_by_node.setdefault(after, {})[key] = None

    # --- forgetting ---------------------------------------------------------------------------------------------

    def plan_compaction(self, now: Millis) -> Compaction | None:
        """The next step of what the retention bounds no longer ask to keep; None when that is nothing."""
        horizon, at, dropped = self._plan_drop(now)
        answers = tuple(self._old_answers(horizon, now))
        if horizon == self.horizon and not answers:
            return None
        return Compaction(horizon, at, self.revision, tuple(dropped), answers)

    def _plan_drop(self, now: Millis) -> tuple[int, Millis, list[int]]:
        config, changes = self.config, self._topics[ALL_TOPIC]
        oldest, bytes_left = now - config.retention_minutes * 60_000, self._history_bytes
        horizon, horizon_at, dropped = self.horizon, self.horizon_at, []
        for position, change in enumerate(changes):
            crowded = len(changes) - position > config.retention_revisions or bytes_left > config.retention_bytes
            at = change.record.at
            flooded = bytes_left > _FLOOD * config.retention_bytes
            if position == _DROPPED_MAX or not (at < oldest or flooded or (crowded and at < now - RETENTION_MS_MIN)):
                break
            horizon, horizon_at = change.revision, at
            bytes_left -= len(change.record.stored.body)
            if change.previous is not None:
                dropped.append(change.previous.revision)
            if change.record.removed:
                dropped.append(change.revision)
        return horizon, horizon_at, dropped

    def _old_answers(self, horizon: int, now: Millis) -> Iterator[str]:
        """Too old, too many, or told by revisions that are gone."""
        oldest = now - self.config.reply_retention_minutes * 60_000
        surplus = len(self._answers) - self.config.reply_retention_count
        for position, answer in enumerate(self._answers.values()):
            crowded = position < surplus and answer.at < now - RETENTION_MS_MIN
            if not (crowded or answer.at < oldest or _first_revision(answer) <= horizon):
                break
            yield answer.key

    def apply_compaction(self, compaction: Compaction) -> None:
        self.horizon, self.horizon_at = compaction.horizon, compaction.horizon_at
        for topic, changes in list(self._topics.items()):
            end = bisect_right(changes, compaction.horizon, key=_revision_of)
            if topic == ALL_TOPIC:
                self._history_bytes -= sum(len(change.record.stored.body) for change in changes[:end])
            del changes[:end]
            if not changes and topic != ALL_TOPIC:
                del self._topics[topic]
        for key in compaction.dropped_answers:
            self._answers.pop(key, None)


def too_large_revision(wanted: int, current: int) -> Timeout:
    """What a client is told of a revision that has not come yet: to ask again in a moment."""
    cause = Cause("", "Too large resource version", "ResourceVersionTooLarge")
    message = f"Too large resource version: {wanted}, current: {current}"
    return Timeout(message, causes=[cause], retry_after_seconds=1)


def _revision_of(change: Change) -> int:
    return change.revision


def _first_revision(answer: Answer) -> int:
    """The lowest revision that it tells of; its own when it changed nothing."""
    told = (reply.stored.revision for reply in answer.replies if reply.stored is not None and reply.changed)
    return min(told, default=answer.revision)

"""Runs any set of controllers over one view, in the form of `reconcile.core`. Pure.

A key whose reconcile raises or whose write is refused backs off and says so in an Event; no other key waits for it.
Level-triggered: whatever is lost by a crash, the relist brings every object back for a look.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from actors.api.clock import Millis
from actors.api.key import Key, Stored
from actors.api.meta import Resource
from actors.reconcile.actions import Create, Delete, Emit, Reply, RequeueAfter, StoreWrite
from actors.reconcile.backoff import Backoff
from actors.reconcile.controller import Concerns, Controller
from actors.reconcile.events import EventRecorder
from actors.reconcile.view import RESOURCES, Change, View
from actors.reconcile.watch import EventType, Selection, WatchBatch
from actors.reconcile.workqueue import WorkQueue

#: Refusals that only say "your view is old": the watch will bring the news.
_STALE_CREATE = frozenset({"AlreadyExists"})
_STALE_CHANGE = frozenset({"Conflict", "NotFound"})
#: What became of the write is not known yet, for somebody is still asked about it: it is asked for again.
_UNKNOWN = "Timeout"


class Task(NamedTuple):
    """One reconcile: which controller (by place in the list), which object."""

    controller: int
    key: Key


class _Decided(NamedTuple):
    """A write, which reconcile wants it, and what is to be told once it is carried out."""

    task: Task
    write: StoreWrite
    told: list[Emit]


class ControllersCore:
    """`writes_max` bounds one decision: what is left over stays queued and `decide` is called again."""

    def __init__(
        self,
        controllers: Sequence[Controller[Any]],
        name: str = "raypod-controllers",
        writes_max: int = 500,
        backoff: Backoff | None = None,
    ) -> None:
        self._controllers = tuple(controllers)
        self._concerns: dict[str, list[tuple[int, Concerns]]] = {}
        self._writes_max = writes_max
        self._view = View(_shapes(controllers))
        self._queue: WorkQueue[Task] = WorkQueue(backoff or Backoff(first_ms=20, most_ms=60_000))
        self._events = EventRecorder(name)
        self._in_flight: list[_Decided] = []
        self._refused: dict[Task, str] = {}
        self._undeleted: dict[Task, tuple[str, ...]] = {}

    @property
    def view(self) -> View:
        return self._view

    @property
    def queued_count(self) -> int:
        return len(self._queue)

    def selection(self) -> Selection:
        shapes = [shape for controller in self._controllers for shape in controller.shapes()]
        if Resource in shapes:
            return Selection()
        return Selection(resources=tuple(sorted({RESOURCES[shape] for shape in shapes})))

    def relist(self, items: Sequence[Stored], revision: int, now: Millis) -> None:
        self._in_flight = []
        self._view.relist(items, revision, now)
        for key in sorted(self._view.keys()):
            obj = self._view.at(key)
            if obj is not None:
                self._enqueue(key, obj, now)

    def observe(self, batch: WatchBatch, now: Millis) -> None:
        for event in batch.events:
            self._notice(event.stored, event.type is EventType.DELETED, now)
        self._view.settle(batch.revision)

    def decide(self, now: Millis) -> Sequence[StoreWrite]:
        self._in_flight = []
        self._view.tick(now)
        while len(self._in_flight) < self._writes_max and (task := self._queue.pop(now)) is not None:
            self._in_flight += self._reconcile(task, now)
        return [decided.write for decided in self._in_flight] + self._events.flush(now)

    def replied(self, writes: Sequence[StoreWrite], replies: Sequence[Reply], now: Millis) -> None:
        own = len(self._in_flight)
        failed: dict[Task, None] = {}
        undeleted: dict[Task, list[str]] = {}
        for (task, write, told), reply in zip(self._in_flight, replies[:own], strict=True):
            if reply.stored is not None and not write.dry_run:
                self._notice(reply.stored, reply.removed, now)
            if reply.error is None:
                for emit in told:
                    self._events.record(emit, now)
            else:
                failed[task] = None
                self._complain(task, write, reply.error, now)
                if isinstance(write, Create) and reply.error.get("reason") not in (*_STALE_CREATE, _UNKNOWN):
                    self._refused[task] = str(reply.error.get("message", ""))
                elif isinstance(write, Delete) and reply.error.get("reason") not in (*_STALE_CHANGE, _UNKNOWN):
                    undeleted.setdefault(task, []).append(str(reply.error.get("message", "")))
        for task in dict.fromkeys(decided.task for decided in self._in_flight):
            if task in failed:
                self._queue.fail(task, now)
            else:
                self._queue.forget(task)
                self._refused.pop(task, None)
            if task in undeleted:
                self._undeleted[task] = tuple(undeleted[task])
            else:
                self._undeleted.pop(task, None)
        self._in_flight = []
        self._events.replied(writes[own:], replies[own:], now)

    def wake_at(self) -> Millis | None:
        return min((at for at in (self._queue.next_at(), self._events.next_at()) if at is not None), default=None)

    def _notice(self, stored: Stored, gone: bool, now: Millis) -> None:
        change = self._view.remove(stored, now) if gone else self._view.put(stored, now)
        if change is not None:
            for obj in _states(change):
                self._enqueue(change.key, obj, now)

    def _enqueue(self, key: Key, obj: Resource, now: Millis) -> None:
        for index, concerns in self._concerned(key.resource):
            for concerned in concerns(key, obj, self._view):
                self._queue.add(Task(index, concerned), now)

    def _concerned(self, resource: str) -> list[tuple[int, Concerns]]:
        """Whom a change of an object of that resource concerns: found out once."""
        found = self._concerns.get(resource)
        if found is None:
            found = [(i, concerns) for i, one in enumerate(self._controllers) for concerns in one.concerns(resource)]
            self._concerns[resource] = found
        return found

    def _reconcile(self, task: Task, now: Millis) -> list[_Decided]:
        """What is told after a write is of that write: nobody is told of what the store has refused."""
        controller, obj = self._controllers[task.controller], self._view.at(task.key)
        if obj is None or not controller.handles(obj):
            self._queue.forget(task)
            self._refused.pop(task, None)
            self._undeleted.pop(task, None)
            return []
        writes: list[_Decided] = []
        self._view.refused, self._view.undeleted = self._refused.get(task, ""), self._undeleted.get(task, ())
        try:
            for action in controller.reconcile(obj, self._view, now):
                if isinstance(action, Emit) and writes:
                    writes[-1].told.append(action)
                elif isinstance(action, Emit):
                    self._events.record(action, now)
                elif isinstance(action, RequeueAfter):
                    self._queue.add(task, now + max(action.delay_ms, 1))
                else:
                    writes.append(_Decided(task, action, []))
        except Exception as error:  # one object's trouble is not the others': it waits and is told about
            self._queue.fail(task, now)
            self._warn(task, "ReconcileFailed", f"{controller.name}: {type(error).__name__}: {error}", now)
            return []
        if not any(isinstance(decided.write, Create) for decided in writes):
            self._refused.pop(task, None)
        if not writes:
            self._queue.forget(task)
        return writes

    def _complain(self, task: Task, write: StoreWrite, error: dict[str, Any], now: Millis) -> None:
        stale = _STALE_CREATE if isinstance(write, Create) else _STALE_CHANGE
        if error.get("reason") not in (*stale, _UNKNOWN):
            verb = "Create" if isinstance(write, Create) else "Delete" if isinstance(write, Delete) else "Update"
            what = {"Create": "creating", "Delete": "deleting", "Update": "updating"}[verb]
            self._warn(task, f"Failed{verb}", f"Error {what}: {error.get('message', 'unknown')}", now)

    def _warn(self, task: Task, reason: str, message: str, now: Millis) -> None:
        obj = self._view.at(task.key)
        uid = obj.metadata.uid if obj else ""
        self._events.record(Emit(regarding=task.key, uid=uid, reason=reason, message=message, type="Warning"), now)


def _shapes(controllers: Iterable[Controller[Any]]) -> set[type[Resource]]:
    return {shape for controller in controllers for shape in controller.shapes()} - {Resource}


def _states(change: Change) -> Iterable[Resource]:
    """Both states are asked whom they concern: an object may have left one owner for another."""
    if change.old is not None:
        yield change.old
    if change.new is not None:
        yield change.new

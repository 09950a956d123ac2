"""Laws of the store: what DESIGN.md says it must never do, and what Kubernetes promises about objects' ends."""

from __future__ import annotations

from collections.abc import Sequence

from actors.api.key import Key, Stored
from actors.api.meta import Resource
from actors.api.namespaces import Namespace
from actors.reconcile.actions import Reply
from actors.reconcile.watch import Selection
from actors.sim.laws.law import Breach, Sight
from actors.store.engine import Engine


class RevisionsGrow:
    """No resourceVersion is used twice, none goes back, and no uid belongs to two objects."""

    def __init__(self) -> None:
        self._revision = 0
        self._owner_of_uid: dict[str, tuple[Key, int]] = {}

    def see(self, sight: Sight) -> None:
        stored = sight.record.stored
        if stored.revision <= self._revision:
            raise Breach(f"revision {stored.revision} follows {self._revision}")
        self._revision = stored.revision
        owner = self._owner_of_uid.setdefault(stored.uid, (stored.key, stored.created_revision))
        if owner != (stored.key, stored.created_revision):
            raise Breach(f"uid {stored.uid} of {owner[0]} is given again to {stored.key}")


class FinalizersHold:
    """Nothing is removed while a finalizer holds it, and what is deleted never comes back to life."""

    def __init__(self) -> None:
        self._dying: set[str] = set()

    def see(self, sight: Sight) -> None:
        meta, obj = sight.obj.metadata, sight.obj
        held = meta.finalizers or (obj.spec.finalizers if isinstance(obj, Namespace) else None)
        if sight.removed and held:
            raise Breach(f"{sight.key} is removed while {held} hold it")
        if meta.uid in self._dying and not meta.is_deleting:
            raise Breach(f"{sight.key} was being deleted and is not any more")
        if meta.is_deleting:
            self._dying.add(meta.uid)


class NamespacesHold:
    """What is namespaced lives in a namespace that exists; a namespace goes only when it is empty."""

    def __init__(self) -> None:
        self._keys: dict[str, set[Key]] = {}

    def see(self, sight: Sight) -> None:
        key = sight.key
        if key.resource == "namespaces":
            left = self._keys.setdefault(key.name, set())
            if sight.removed and left:
                raise Breach(f"namespace {key.name} is gone and {sorted(left)[0]} is in it")
            if sight.removed:
                del self._keys[key.name]
        elif key.namespace:
            if key.namespace not in self._keys:
                raise Breach(f"{key} is in a namespace that does not exist")
            (self._keys[key.namespace].discard if sight.removed else self._keys[key.namespace].add)(key)


class Mirror:
    """What is acknowledged is durable and stays; one idempotency key has one answer; a restart brings back all."""

    def __init__(self) -> None:
        self.objects: dict[Key, Stored] = {}
        self.revision = 0
        self._answers: dict[str, tuple[Reply, ...]] = {}

    def see(self, sight: Sight) -> None:
        self.revision = sight.record.revision
        if sight.removed:
            del self.objects[sight.key]
        else:
            self.objects[sight.key] = sight.record.stored

    def answered(self, key: str, replies: Sequence[Reply]) -> None:
        """A commit is acknowledged."""
        newest = max((reply.stored.revision for reply in replies if reply.stored and reply.changed), default=0)
        if newest > self.revision:
            raise Breach(f"revision {newest} is acknowledged, and only {self.revision} is durable")
        if not key or not newest:
            return
        known = self._answers.setdefault(key, tuple(replies))
        if known != tuple(replies):
            raise Breach(f"commit {key} is answered twice, and not the same: it was carried out twice")

    def restarted(self, engine: Engine) -> None:
        """A store has come back: with this state, to a byte?"""
        if engine.revision < self.revision:
            raise Breach(f"revision {self.revision} was durable, the store came back at {engine.revision}")
        found = {stored.key: stored for stored in engine.list(Selection()).items}
        differing = [key for key in {**found, **self.objects} if found.get(key) != self.objects.get(key)]
        if differing:
            raise Breach(f"{min(differing)} is not what it was before the store's restart")


class GenerationsAreObserved:
    """Nobody has seen a generation that does not exist yet, and generations only grow."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    def see(self, sight: Sight) -> None:
        meta = sight.obj.metadata
        if meta.generation < self._known.get(meta.uid, 0):
            raise Breach(f"{sight.key} goes back to generation {meta.generation}")
        self._known[meta.uid] = meta.generation
        if _observed(sight.obj) > meta.generation:
            raise Breach(f"{sight.key} is at generation {meta.generation} and was observed at {_observed(sight.obj)}")


def _observed(obj: Resource) -> int:
    status = getattr(obj, "status", None)
    return int(getattr(status, "observed_generation", 0))

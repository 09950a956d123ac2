"""Users who lay hands on what controllers own: they delete and relabel pods, scale and delete ReplicaSets. The
controllers must make it good; only Jobs may count a pod that was taken from them as failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from actors.api.key import Key, Stored
from actors.reconcile.actions import Delete, Patch, Propagation, StoreWrite
from actors.sim.rest.look import Look
from actors.sim.users.scenario import Draw, Wish

_PODS, _SETS = "pods", "replicasets.apps"


class Meddlers:
    """`objects`: what is in the store now."""

    def __init__(self, draw: Draw, objects: Callable[[], Mapping[Key, Stored]]) -> None:
        self._draw, self._objects = draw, objects

    def wishes(self) -> Sequence[Wish]:
        on_pods = [self._delete_pod, self._delete_pod, self._relabel_pod] if self._owned(_PODS) else []
        return [*on_pods, *([self._scale_set, self._delete_set] if self._owned(_SETS) else [])] or [self._touch]

    def settle(self) -> Sequence[StoreWrite]:
        return ()

    def _owned(self, resource: str) -> list[Key]:
        return sorted(
            k for k, s in self._objects().items() if k.resource == resource and b'"controller":true' in s.body
        )

    def _pick(self, resource: str) -> Key:
        return self._draw.random.choice(self._owned(resource))

    def _touch(self) -> StoreWrite:
        """There is nothing to lay hands on."""
        note = {"metadata": {"annotations": {"sim/touched": self._draw.name("t")}}}
        return Patch(key=Key("namespaces", "", "default"), patch=note)

    def _delete_pod(self) -> StoreWrite:
        return Delete(key=self._pick(_PODS), grace_period_seconds=self._draw.random.choice((None, None, 0, 1)))

    def _relabel_pod(self) -> StoreWrite:
        """It no longer is what its ReplicaSet selects: it is let go, and lives on without an owner. Where a quota
        bounds the pods, or a StatefulSet waits for its name, it would keep another one's place for ever."""
        bounded = {key.namespace for key in self._objects() if key.resource == "resourcequotas"}
        free = [key for key in self._owned(_PODS) if key.namespace not in bounded and not key.name.startswith("db-")]
        if not free:
            return self._touch()
        return Patch(key=self._draw.random.choice(free), patch={"metadata": {"labels": {"app": "stray"}}})

    def _scale_set(self) -> StoreWrite:
        return Patch(key=self._pick(_SETS), patch={"spec": {"replicas": self._draw.random.randint(0, 4)}})

    def _delete_set(self) -> StoreWrite:
        how = self._draw.random.choice((Propagation.BACKGROUND, Propagation.FOREGROUND))
        return Delete(key=self._pick(_SETS), propagation=how)

    def unfinished(self, look: Look) -> Iterable[str]:
        """They want nothing; it is for the others to say whether all is made good."""
        return ()

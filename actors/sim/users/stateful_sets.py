"""StatefulSets come, are scaled, rolled out to some or all of their pods, and deleted in all three ways."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from actors.api.key import Key
from actors.api.meta import controller_of
from actors.api.pod import Pod
from actors.api.workloads import StatefulSet
from actors.reconcile.actions import Create, Delete, Patch, Propagation, StoreWrite
from actors.sim.manifests import stateful_set
from actors.sim.rest.look import Look
from actors.sim.users.scenario import NAMESPACE, Draw, Wish

_RESOURCE = "statefulsets.apps"


class StatefulSets:
    """`_wanted`: what must be in the end, name -> replicas. In the end updates are for all pods."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._wanted: dict[str, int] = {}
        self._deleted: set[str] = set()

    def wishes(self) -> Sequence[Wish]:
        some = [self._scale, self._scale, self._roll_out, self._roll_out, self._part, self._delete]
        return [self._create, *(some if self._wanted else [])]

    def settle(self) -> Sequence[StoreWrite]:
        return [_partition(name, 0) for name in sorted(self._wanted)]

    def _create(self) -> StoreWrite:
        name, replicas = self._draw.name("db"), self._draw.random.randint(0, 3)
        self._wanted[name] = replicas
        return Create(resource=_RESOURCE, namespace=NAMESPACE, object=stateful_set(name, replicas, self._draw.random))

    def _pick(self) -> str:
        return self._draw.random.choice(sorted(self._wanted))

    def _scale(self) -> StoreWrite:
        name, replicas = self._pick(), self._draw.random.randint(0, 4)
        self._wanted[name] = replicas
        return Patch(key=_key(name), patch={"spec": {"replicas": replicas}})

    def _roll_out(self) -> StoreWrite:
        note = {"annotations": {"sim/version": str(self._draw.random.randint(1, 3))}}
        return Patch(key=_key(self._pick()), patch={"spec": {"template": {"metadata": note}}})

    def _part(self) -> StoreWrite:
        return _partition(self._pick(), self._draw.random.randint(0, 3))

    def _delete(self) -> StoreWrite:
        name, how = self._pick(), self._draw.random.choice((None, *Propagation))
        del self._wanted[name]
        self._deleted.add(name)
        return Delete(key=_key(name), propagation=how)

    def unfinished(self, look: Look) -> Iterable[str]:
        for name, replicas in sorted(self._wanted.items()):
            found = look.get(StatefulSet, NAMESPACE, name)
            if found is None:
                yield f"stateful set {name} is not there"
            else:
                yield from _find_lacking(found, replicas, look)
        for name in sorted(self._deleted):
            if look.get(StatefulSet, NAMESPACE, name) is not None:
                yield f"stateful set {name} was deleted and is there"


def _find_lacking(found: StatefulSet, replicas: int, look: Look) -> Iterable[str]:
    """What the set has not got, though there is room for it."""
    name, status = found.metadata.name, found.status
    if status.observed_generation < found.metadata.generation:
        yield f"stateful set {name} is at generation {status.observed_generation}"
    pods = [pod for pod in look.all(Pod) if _is_of(pod, found)]
    if look.any_hopeless(pods):
        return
    names = sorted(pod.metadata.name for pod in pods)
    if names != [f"{name}-{ordinal}" for ordinal in range(replicas)]:
        yield f"stateful set {name} has {names}, its user wants {replicas}"
    counts = (status.ready_replicas, status.updated_replicas, status.replicas)
    if counts != (replicas,) * 3 or status.current_revision != status.update_revision:
        yield f"stateful set {name} has {counts} ready, updated and in all, of {replicas}"


def _is_of(pod: Pod, stateful: StatefulSet) -> bool:
    owner = controller_of(pod.metadata)
    return owner is not None and owner.uid == stateful.metadata.uid


def _partition(name: str, partition: int) -> StoreWrite:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}}
    return Patch(key=_key(name), patch={"spec": {"updateStrategy": strategy}})


def _key(name: str) -> Key:
    return Key(_RESOURCE, NAMESPACE, name)

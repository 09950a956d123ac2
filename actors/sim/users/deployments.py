"""Deployments come, are scaled, rolled out and rolled back, paused, and deleted in all three ways."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from actors.api.key import Key
from actors.api.meta import controller_of
from actors.api.pod import Pod
from actors.api.workloads import Deployment, ReplicaSet
from actors.reconcile.actions import Create, Delete, Patch, Propagation, StoreWrite
from actors.sim.manifests import deployment
from actors.sim.rest.look import Look
from actors.sim.users.scenario import NAMESPACE, Draw, Wish

_RESOURCE = "deployments.apps"


class Deployments:
    """`_wanted`: what must be in the end, name -> replicas. `_orphaned`: whose ReplicaSets must live on."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._wanted: dict[str, int] = {}
        self._paused: set[str] = set()
        self._orphaned: dict[str, int] = {}

    def wishes(self) -> Sequence[Wish]:
        some = [self._scale, self._scale, self._roll_out, self._roll_out, self._pause, self._delete]
        return [self._create, self._create, *(some if self._wanted else [])]

    def settle(self) -> Sequence[StoreWrite]:
        paused, self._paused = sorted(self._paused), set()
        return [Patch(key=_key(name), patch={"spec": {"paused": None}}) for name in paused]

    def _create(self) -> StoreWrite:
        name, replicas = self._draw.name("web"), self._draw.random.randint(0, 4)
        self._wanted[name] = replicas
        return Create(resource=_RESOURCE, namespace=NAMESPACE, object=deployment(name, replicas, self._draw.random))

    def _pick(self) -> str:
        return self._draw.random.choice(sorted(self._wanted))

    def _scale(self) -> StoreWrite:
        name, replicas = self._pick(), self._draw.random.randint(0, 5)
        self._wanted[name] = replicas
        return Patch(key=_key(name), patch={"spec": {"replicas": replicas}})

    def _roll_out(self) -> StoreWrite:
        """To one of three versions, so that some roll back."""
        note = {"annotations": {"sim/version": str(self._draw.random.randint(1, 3))}}
        return Patch(key=_key(self._pick()), patch={"spec": {"template": {"metadata": note}}})

    def _pause(self) -> StoreWrite:
        name = self._pick()
        (self._paused.discard if name in self._paused else self._paused.add)(name)
        return Patch(key=_key(name), patch={"spec": {"paused": name in self._paused or None}})

    def _delete(self) -> StoreWrite:
        name, how = self._pick(), self._draw.random.choice((None, *Propagation))
        replicas = self._wanted.pop(name)
        self._paused.discard(name)
        if how is Propagation.ORPHAN:
            self._orphaned[name] = replicas
        return Delete(key=_key(name), propagation=how)

    def unfinished(self, look: Look) -> Iterable[str]:
        for name, replicas in sorted(self._wanted.items()):
            found = look.get(Deployment, NAMESPACE, name)
            if found is None:
                yield f"deployment {name} is not there"
            else:
                yield from find_lacking(found, replicas, look)
        for name in sorted(self._orphaned):
            sets = [rs for rs in look.all(ReplicaSet) if rs.metadata.label("app") == name]
            if look.get(Deployment, NAMESPACE, name) is not None:
                yield f"deployment {name} was deleted and is there"
            if any(controller_of(rs.metadata) for rs in sets):
                yield f"a replica set of {name} was orphaned and has an owner"
            for rs in sets if not look.any_hopeless(_pods_of(name, look)) else ():
                if rs.status.ready_replicas != rs.spec.replicas:
                    yield f"replica set {rs.metadata.name}, left behind, has {rs.status.ready_replicas} ready"


def _pods_of(name: str, look: Look) -> list[Pod]:
    return [pod for pod in look.all(Pod) if pod.metadata.label("app") == name and not pod.is_finished]


def find_lacking(found: Deployment, replicas: int, look: Look) -> Iterable[str]:
    """What the deployment has not got, though there is room for it."""
    name, status = found.metadata.name, found.status
    if status.observed_generation < found.metadata.generation:
        yield f"deployment {name} is at generation {status.observed_generation}"
    if found.spec.replicas != replicas:
        yield f"deployment {name} asks for {found.spec.replicas}, its user for {replicas}"
    live = _pods_of(name, look)
    if look.any_hopeless(live):
        return
    if (status.ready_replicas, status.updated_replicas, status.replicas) != (replicas,) * 3:
        yield f"deployment {name} has {status.ready_replicas} ready of {replicas} ({status.replicas} in all)"
    if len(live) != replicas:
        yield f"deployment {name} has {len(live)} pods of {replicas}"


def _key(name: str) -> Key:
    return Key(_RESOURCE, NAMESPACE, name)

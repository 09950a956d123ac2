"""ReplicationControllers come, are scaled, and go, with their pods or without."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from actors.api.key import Key
from actors.api.meta import controller_of
from actors.api.pod import Pod
from actors.api.workloads import ReplicationController
from actors.reconcile.actions import Create, Delete, Patch, Propagation, StoreWrite
from actors.sim.manifests import replication_controller
from actors.sim.rest.look import Look
from actors.sim.users.scenario import NAMESPACE, Draw, Wish

_RESOURCE = "replicationcontrollers"


class ReplicationControllers:
    """`_wanted`: what must be in the end, name -> replicas."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._wanted: dict[str, int] = {}

    def wishes(self) -> Sequence[Wish]:
        return [self._create, *([self._scale, self._scale, self._delete] if self._wanted else [])]

    def settle(self) -> Sequence[StoreWrite]:
        return ()

    def _create(self) -> StoreWrite:
        name, replicas = self._draw.name("rc"), self._draw.random.randint(0, 3)
        self._wanted[name] = replicas
        made = replication_controller(name, replicas, self._draw.random)
        return Create(resource=_RESOURCE, namespace=NAMESPACE, object=made)

    def _pick(self) -> str:
        return self._draw.random.choice(sorted(self._wanted))

    def _scale(self) -> StoreWrite:
        name, replicas = self._pick(), self._draw.random.randint(0, 4)
        self._wanted[name] = replicas
        return Patch(key=_key(name), patch={"spec": {"replicas": replicas}})

    def _delete(self) -> StoreWrite:
        name = self._pick()
        del self._wanted[name]
        return Delete(key=_key(name), propagation=self._draw.random.choice((None, *Propagation)))

    def unfinished(self, look: Look) -> Iterable[str]:
        for name, replicas in sorted(self._wanted.items()):
            found = look.get(ReplicationController, NAMESPACE, name)
            if found is None:
                yield f"replication controller {name} is not there"
                continue
            pods = [pod for pod in look.all(Pod) if _is_of(pod, found) and not pod.is_finished]
            counts = (found.status.replicas, found.status.ready_replicas, len(pods))
            if counts != (replicas,) * 3 and not look.any_hopeless(pods):
                yield f"replication controller {name} has {counts} told, ready and there, of {replicas}"


def _is_of(pod: Pod, owner: ReplicationController) -> bool:
    ref = controller_of(pod.metadata)
    return ref is not None and ref.uid == owner.metadata.uid


def _key(name: str) -> Key:
    return Key(_RESOURCE, NAMESPACE, name)

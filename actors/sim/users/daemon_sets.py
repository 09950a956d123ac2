"""DaemonSets come, are rolled out, and go: one pod on every node, whatever becomes of the nodes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from actors.api.key import Key
from actors.api.meta import controller_of
from actors.api.node import Node
from actors.api.pod import Pod
from actors.api.workloads import DaemonSet
from actors.controllers.daemon_pods import node_of
from actors.reconcile.actions import Create, Delete, Patch, Propagation, StoreWrite
from actors.sim.manifests import daemon_set
from actors.sim.rest.look import Look
from actors.sim.users.scenario import NAMESPACE, Draw, Wish

_RESOURCE = "daemonsets.apps"
#: At a time: each takes room on every node.
_SETS_MAX = 2


class DaemonSets:
    """`_wanted`: which must be there in the end."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._wanted: set[str] = set()

    def wishes(self) -> Sequence[Wish]:
        some = [self._roll_out, self._roll_out, self._delete] if self._wanted else []
        return [*some, *([self._create] if len(self._wanted) < _SETS_MAX else [])]

    def settle(self) -> Sequence[StoreWrite]:
        return ()

    def _create(self) -> StoreWrite:
        name = self._draw.name("daemon")
        self._wanted.add(name)
        return Create(resource=_RESOURCE, namespace=NAMESPACE, object=daemon_set(name, self._draw.random))

    def _pick(self) -> str:
        return self._draw.random.choice(sorted(self._wanted))

    def _roll_out(self) -> StoreWrite:
        note = {"annotations": {"sim/version": str(self._draw.random.randint(1, 3))}}
        return Patch(key=_key(self._pick()), patch={"spec": {"template": {"metadata": note}}})

    def _delete(self) -> StoreWrite:
        name = self._pick()
        self._wanted.discard(name)
        how = self._draw.random.choice((None, Propagation.BACKGROUND, Propagation.FOREGROUND))
        return Delete(key=_key(name), propagation=how)

    def unfinished(self, look: Look) -> Iterable[str]:
        for name in sorted(self._wanted):
            found = look.get(DaemonSet, NAMESPACE, name)
            if found is None:
                yield f"daemon set {name} is not there"
            else:
                yield from _find_lacking(found, look)


def _find_lacking(found: DaemonSet, look: Look) -> Iterable[str]:
    """What the set has not got, though there is room for it, and what it has in vain."""
    name, uid, status = found.metadata.name, found.metadata.uid, found.status
    pods = [pod for pod in look.all(Pod) if (owner := controller_of(pod.metadata)) is not None and owner.uid == uid]
    nodes = sorted(node.metadata.name for node in look.all(Node))
    if strays := sorted(pod.metadata.name for pod in pods if node_of(pod) not in nodes):
        yield f"pods {strays} of daemon set {name} wait for nodes that are gone"
    if look.any_hopeless(pods):
        return
    if sorted(map(node_of, pods)) != nodes:
        yield f"daemon set {name} has pods on {sorted(map(node_of, pods))}, the nodes are {nodes}"
    if status.observed_generation < found.metadata.generation:
        yield f"daemon set {name} is at generation {status.observed_generation}"
    counts = (status.desired_number_scheduled, status.updated_number_scheduled, status.number_available)
    if counts != (len(nodes),) * 3:
        yield f"daemon set {name} has {counts} wanted, updated and available, of {len(nodes)}"


def _key(name: str) -> Key:
    return Key(_RESOURCE, NAMESPACE, name)

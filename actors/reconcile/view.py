"""What a controller sees: lens objects by kind, indexed by owner, API namespace and node. Own writes show at once.

One shape per resource; a resource without one is kept as bare metadata. An object that its shape cannot read (a
client may store anything) is kept as metadata too and is invisible to queries by shape. Answers are sorted by key.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from actors.api import kinds
from actors.api.clock import Millis
from actors.api.codec import lens
from actors.api.contents import BootstrapToken, RootCaMap
from actors.api.crd.definition import RESOURCE as DEFINITIONS
from actors.api.crd.definition import CustomResourceDefinition
from actors.api.disruption import RESOURCE as BUDGETS
from actors.api.disruption import PodDisruptionBudget
from actors.api.key import Key, Stored
from actors.api.meta import ObjectMeta, Resource, controller_of
from actors.api.namespaces import Namespace
from actors.api.node import Lease, Node
from actors.api.pod import Pod
from actors.api.quota import ResourceQuota
from actors.api.rbac import ClusterRole
from actors.api.services import Endpoints, EndpointSlice, Service
from actors.api.volumes import PersistentVolume, PersistentVolumeClaim
from actors.api.workloads import (
    ControllerRevision,
    CronJob,
    DaemonSet,
    Deployment,
    Job,
    ReplicaSet,
    ReplicationController,
    StatefulSet,
)
from actors.reconcile.events import Event
from actors.reconcile.revisions import Revisions

T = TypeVar("T", bound=Resource)
Term = tuple[str, ...]

#: The resource of each shape that queries may name.
RESOURCES: dict[type[Resource], str] = {
    Pod: kinds.POD.resource,
    Node: kinds.NODE.resource,
    Lease: kinds.LEASE.resource,
    Namespace: kinds.NAMESPACE.resource,
    ReplicaSet: kinds.REPLICA_SET.resource,
    ReplicationController: "replicationcontrollers",
    Deployment: kinds.DEPLOYMENT.resource,
    StatefulSet: "statefulsets.apps",
    DaemonSet: "daemonsets.apps",
    CronJob: "cronjobs.batch",
    ControllerRevision: "controllerrevisions.apps",
    Job: kinds.JOB.resource,
    PodDisruptionBudget: BUDGETS,
    Event: kinds.EVENT.resource,
    CustomResourceDefinition: DEFINITIONS,
    ClusterRole: kinds.CLUSTER_ROLE.resource,
    ResourceQuota: "resourcequotas",
    PersistentVolume: "persistentvolumes",
    PersistentVolumeClaim: "persistentvolumeclaims",
    RootCaMap: kinds.CONFIG_MAP.resource,
    BootstrapToken: kinds.SECRET.resource,
    Service: kinds.SERVICE.resource,
    Endpoints: kinds.ENDPOINTS.resource,
    EndpointSlice: kinds.ENDPOINT_SLICE.resource,
}


class Change(NamedTuple):
    """What became of one object: `old` None when it is new, `new` None when it is gone."""

    key: Key
    old: Resource | None
    new: Resource | None


class Entry(NamedTuple):
    obj: Resource
    seen_ms: Millis  # when this state was first seen, by the viewer's own clock


class View:
    def __init__(self, shapes: Iterable[type[Resource]] = RESOURCES) -> None:
        self._shapes = {RESOURCES[shape]: shape for shape in shapes}
        self._entries: dict[Key, Entry] = {}
        self._index: dict[Term, dict[Key, None]] = {}
        self._revisions = Revisions()
        self._node_gone_ms: dict[str, Millis] = {}
        self._since_ms: Millis = 0
        self._now_ms: Millis = 0
        self.revision = 0
        #: Why the last object that the running reconcile wanted to create was refused; "" when it was not.
        self.refused = ""
        #: Why objects that it wanted to delete were not.
        self.undeleted: tuple[str, ...] = ()

    # -- what a controller asks

    def at(self, key: Key) -> Resource | None:
        entry = self._entries.get(key)
        return entry.obj if entry else None

    def get(self, shape: type[T], namespace: str, name: str) -> T | None:
        obj = self.at(Key(RESOURCES[shape], namespace, name))
        return obj if isinstance(obj, shape) else None

    def all(self, shape: type[T]) -> list[T]:
        return self._shaped(("kind", RESOURCES[shape]), shape)

    def within(self, shape: type[T], namespace: str) -> list[T]:
        """Those of one API namespace."""
        return self._shaped(("kind", RESOURCES[shape], namespace), shape)

    def owned_by(self, owner: Resource, shape: type[T]) -> list[T]:
        """Those whose controller is `owner`."""
        return self._shaped(("controller", RESOURCES[shape], owner.metadata.uid), shape)

    def orphans(self, shape: type[T], namespace: str) -> list[T]:
        """Those in `namespace` that no controller owns."""
        return self._shaped(("orphan", RESOURCES[shape], namespace), shape)

    def on_node(self, name: str) -> list[Pod]:
        """Pods bound to the node, finished ones included."""
        return self._shaped(("node", name), Pod)

    def unready_nodes(self) -> list[Node]:
        return self._shaped(("unready",), Node)

    def has_ready_node(self) -> bool:
        nodes, unready = (self._index.get(term, ()) for term in (("kind", RESOURCES[Node]), ("unready",)))
        return len(nodes) > len(unready)

    def finished(self) -> list[Pod]:
        """Pods that succeeded or failed."""
        return self._shaped(("finished",), Pod)

    def finished_count(self) -> int:
        return len(self._index.get(("finished",), ()))

    def dependents(self, uid: str) -> list[Key]:
        """Keys of all objects, of any kind, with an owner reference to `uid`."""
        return self._keys(("owner", uid))

    def in_namespace(self, namespace: str) -> list[Key]:
        return self._keys(("namespace", namespace))

    def of_resource(self, resource: str) -> list[Key]:
        """All of `pods`, `widgets.example.com`."""
        return self._keys(("kind", resource))

    def with_uid(self, uid: str) -> Key | None:
        return next(iter(self._index.get(("uid", uid), ())), None)

    def seen_ms(self, key: Key) -> Millis:
        """When the present state of the object was first seen, by our own clock (clocks of nodes may differ)."""
        return self._entries[key].seen_ms

    def node_gone_ms(self, name: str) -> Millis | None:
        """Since when, as far as we know, there has been no such node; None while there is one."""
        if Key(kinds.NODE.resource, "", name) in self._entries:
            return None
        return self._node_gone_ms.get(name, self._since_ms)

    # -- what the core tells

    def tick(self, now: Millis) -> None:
        """It is `now`. When the clock was set back, nothing was seen later than this."""
        if now < self._now_ms:
            for key, entry in self._entries.items():
                self._entries[key] = Entry(entry.obj, min(entry.seen_ms, now))
            self._node_gone_ms = {name: min(at, now) for name, at in self._node_gone_ms.items()}
            self._since_ms = min(self._since_ms, now)
        self._now_ms = now

    def relist(self, items: Sequence[Stored], revision: int, now: Millis) -> None:
        """The world is now `items`, but for own writes newer than `revision`."""
        if not self._since_ms:
            self._since_ms = now
        for key in self._revisions.vanished((stored.key for stored in items), revision):
            self._drop(key, now)
        for stored in items:
            self.put(stored, now)
        self.settle(revision)

    def put(self, stored: Stored, now: Millis) -> Change | None:
        """A state of an object, from a watch or an own write. None when it is not news."""
        if not self._revisions.accepts(stored):
            return None
        old, new = self.at(stored.key), self._read(stored)
        self._drop_terms(stored.key, old)
        self._entries[stored.key] = Entry(new, now)
        for term in _terms(stored.key, new):
            self._index.setdefault(term, {})[stored.key] = None
        self._node_gone_ms.pop(stored.key.name if stored.key.resource == kinds.NODE.resource else "", None)
        return Change(stored.key, old, new)

    def remove(self, stored: Stored, now: Millis) -> Change | None:
        """The end of an object. None when it was not known to live."""
        if not self._revisions.accepts_removal(stored):
            return None
        return Change(stored.key, self._drop(stored.key, now), None)

    def settle(self, revision: int) -> None:
        """Every event up to `revision` has been seen."""
        self.revision = max(self.revision, revision)
        self._revisions.settle(revision)

    def keys(self) -> list[Key]:
        return list(self._entries)

    # -- inside

    def _read(self, stored: Stored) -> Resource:
        for shape in (self._shapes.get(stored.key.resource, Resource), Resource):
            try:
                return lens(stored, shape)
            except msgspec.ValidationError:
                continue
        return Resource(ObjectMeta(name=stored.key.name, namespace=stored.key.namespace, uid=stored.uid))

    def _drop(self, key: Key, now: Millis) -> Resource | None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return None
        self._drop_terms(key, entry.obj)
        if key.resource == kinds.NODE.resource:
            self._node_gone_ms[key.name] = now
        return entry.obj

    def _drop_terms(self, key: Key, obj: Resource | None) -> None:
        for term in _terms(key, obj) if obj is not None else ():
            members = self._index[term]
            members.pop(key, None)
            if not members:
                del self._index[term]

    def _keys(self, term: Term) -> list[Key]:
        return sorted(self._index.get(term, ()))

    def _shaped(self, term: Term, shape: type[T]) -> list[T]:
        if term not in self._index:
            return []
        objs = (self._entries[key].obj for key in self._keys(term))
        return [obj for obj in objs if isinstance(obj, shape)]


def _terms(key: Key, obj: Resource) -> list[Term]:
    """Under what an object can be found."""
    meta = obj.metadata
    controller = controller_of(meta)
    terms: list[Term] = [("kind", key.resource), ("uid", meta.uid), ("namespace", key.namespace)]
    if key.namespace:
        terms.append(("kind", key.resource, key.namespace))
    if controller:
        terms.append(("controller", key.resource, controller.uid))
    else:
        terms.append(("orphan", key.resource, key.namespace))
    terms += dict.fromkeys(("owner", ref.uid) for ref in meta.owner_references or ())
    if isinstance(obj, Pod) and obj.spec.node_name:
        terms.append(("node", obj.spec.node_name))
    if isinstance(obj, Node) and not obj.is_ready:
        terms.append(("unready",))
    if isinstance(obj, Pod) and obj.is_finished:
        terms.append(("finished",))
    return terms

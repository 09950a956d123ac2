"""API namespaces come, are filled, and are deleted with everything in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from actors.api.key import Key
from actors.api.meta import Resource
from actors.api.namespaces import Namespace
from actors.api.workloads import Deployment
from actors.reconcile.actions import Create, Delete, StoreWrite
from actors.sim.manifests import deployment, job, pod
from actors.sim.rest.look import Look
from actors.sim.users.deployments import find_lacking
from actors.sim.users.scenario import Draw, Wish


class Namespaces:
    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._live: set[str] = set()
        self._deleted: set[str] = set()

    def wishes(self) -> Sequence[Wish]:
        return [self._create, *([self._fill, self._fill, self._fill, self._delete] if self._live else [])]

    def settle(self) -> Sequence[StoreWrite]:
        return ()

    def _create(self) -> StoreWrite:
        name = self._draw.name("team")
        self._live.add(name)
        obj = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        return Create(resource="namespaces", namespace="", object=obj)

    def _pick(self) -> str:
        return self._draw.random.choice(sorted(self._live))

    def _fill(self) -> StoreWrite:
        random_, namespace = self._draw.random, self._pick()
        match random_.choice(("pod", "job", "deployment", "map")):
            case "pod":
                return Create(resource="pods", namespace=namespace, object=pod(self._draw.name("p"), random_))
            case "job":
                made = job(self._draw.name("j"), random_, 0)
                return Create(resource="jobs.batch", namespace=namespace, object=made)
            case "deployment":
                made = deployment(self._draw.name("d"), random_.randint(0, 2), random_)
                return Create(resource="deployments.apps", namespace=namespace, object=made)
            case _:
                made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": self._draw.name("c")}}
                return Create(resource="configmaps", namespace=namespace, object=made)

    def _delete(self) -> StoreWrite:
        name = self._pick()
        self._live.discard(name)
        self._deleted.add(name)
        return Delete(key=Key("namespaces", "", name))

    def unfinished(self, look: Look) -> Iterable[str]:
        for name in sorted(self._deleted):
            if look.get(Namespace, "", name) is not None:
                yield f"namespace {name} was deleted and is there"
        for name in sorted(self._live):
            if look.get(Namespace, "", name) is None:
                yield f"namespace {name} is not there"
            if look.at(Key("serviceaccounts", name, "default"), Resource) is None:
                yield f"namespace {name} has no default service account"
        for found in look.all(Deployment):
            if found.metadata.namespace in self._live:
                yield from find_lacking(found, found.spec.replicas, look)

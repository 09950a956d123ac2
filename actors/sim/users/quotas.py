"""API namespaces with a quota: deployments ask for more pods than it allows, and get as many as it does.

In the end they ask for what there is room for, and have it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from actors.api.key import Key
from actors.api.quota import ResourceQuota
from actors.api.workloads import Deployment
from actors.reconcile.actions import Create, Delete, Patch, StoreWrite
from actors.sim.manifests import deployment
from actors.sim.rest.look import Look
from actors.sim.users.deployments import find_lacking
from actors.sim.users.scenario import Draw, Wish

_QUOTA = "bounds"
_REPLICAS_MAX = 6


class Quotas:
    """`_bounds`: how many pods each namespace may have. `_replicas`: what its deployment asks for, where it has one,
    which is named as the namespace is."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._empty: list[str] = []
        self._bounds: dict[str, int] = {}
        self._replicas: dict[str, int] = {}

    def wishes(self) -> Sequence[Wish]:
        if self._empty:
            return [self._bound]
        some = [self._widen, self._deploy, self._scale, self._scale, self._delete]
        return [self._create, *(some if self._bounds else [])]

    def settle(self) -> Sequence[StoreWrite]:
        wrong = [name for name, count in sorted(self._replicas.items()) if count > self._bounds[name]]
        return [self._scaled(name, self._bounds[name]) for name in wrong]

    def _create(self) -> StoreWrite:
        name = self._draw.name("bounded")
        self._empty.append(name)
        obj = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        return Create(resource="namespaces", namespace="", object=obj)

    def _bound(self) -> StoreWrite:
        name = self._empty.pop()
        self._bounds[name] = self._draw.random.randint(1, 3)
        hard = {"pods": str(self._bounds[name]), "limits.cpu": "8", "count/replicasets.apps": "20", "configmaps": "5"}
        obj = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": _QUOTA}, "spec": {"hard": hard}}
        return Create(resource="resourcequotas", namespace=name, object=obj)

    def _pick(self) -> str:
        return self._draw.random.choice(sorted(self._bounds))

    def _widen(self) -> StoreWrite:
        """Or narrow: what is there stays."""
        name = self._pick()
        self._bounds[name] = self._draw.random.randint(1, 4)
        patch = {"spec": {"hard": {"pods": str(self._bounds[name])}}}
        return Patch(key=Key("resourcequotas", name, _QUOTA), patch=patch)

    def _deploy(self) -> StoreWrite:
        name = self._pick()
        if name in self._replicas:
            return self._scale()
        self._replicas[name] = self._draw.random.randint(0, _REPLICAS_MAX)
        made = deployment(name, self._replicas[name], self._draw.random)
        return Create(resource="deployments.apps", namespace=name, object=made)

    def _scale(self) -> StoreWrite:
        name = self._pick()
        if name not in self._replicas:
            return self._deploy()
        return self._scaled(name, self._draw.random.randint(0, _REPLICAS_MAX))

    def _scaled(self, name: str, replicas: int) -> StoreWrite:
        self._replicas[name] = replicas
        return Patch(key=Key("deployments.apps", name, name), patch={"spec": {"replicas": replicas}})

    def _delete(self) -> StoreWrite:
        name = self._pick()
        del self._bounds[name]
        self._replicas.pop(name, None)
        return Delete(key=Key("namespaces", "", name))

    def unfinished(self, look: Look) -> Iterable[str]:
        for name in sorted(self._bounds):
            found = look.get(ResourceQuota, name, _QUOTA)
            if found is None or found.status.hard != found.spec.hard:
                yield f"the quota of {name} does not tell its bounds"
        for name, replicas in sorted(self._replicas.items()):
            web = look.get(Deployment, name, name)
            if web is None:
                yield f"deployment {name} is not there"
            else:
                yield from find_lacking(web, replicas, look)

"""Bare pods of every sort: with generated names, finalizers, configuration that comes late, volumes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from actors.api.codec import Object
from actors.api.key import Key
from actors.api.pod import Pod
from actors.reconcile.actions import Create, Delete, Patch, StoreWrite
from actors.sim.manifests import pod
from actors.sim.rest.look import Look
from actors.sim.users.scenario import NAMESPACE, Draw, Wish

_HOLD = "sim/hold"


class Pods:
    """`_wanted`: names of pods that were asked for and not deleted. `_held`: those with a finalizer of their user's."""

    def __init__(self, draw: Draw, is_calm: bool) -> None:
        self._draw, self._is_calm = draw, is_calm
        self._wanted: set[str] = set()
        self._held: set[str] = set()
        self._maps: set[str] = set()
        self._missing_maps: set[str] = set()
        self._generated = 0

    def wishes(self) -> Sequence[Wish]:
        some = [self._delete, self._delete, self._delete_at_once]
        late = [self._create_map] if self._missing_maps else []
        return [self._create, self._create, self._create_generated, *(some if self._wanted else []), *late, *late]

    def settle(self) -> Sequence[StoreWrite]:
        """Finalizers are taken away, and what pods still wait for is made."""
        held, self._held = sorted(self._held), set()
        writes: list[StoreWrite] = [Patch(key=_key(name), patch={"metadata": {"finalizers": None}}) for name in held]
        while self._missing_maps:
            writes.append(self._create_map())
        return writes

    def _create(self) -> StoreWrite:
        name = self._draw.name("pod")
        self._wanted.add(name)
        made = pod(name, self._draw.random)
        dice = self._draw.random.random()
        if dice < 0.15:
            made["metadata"]["finalizers"] = [_HOLD]
            self._held.add(name)
        elif dice < 0.35:
            self._configure(made, self._draw.name("config"))
        return _create(made)

    def _configure(self, made: Object, name: str) -> None:
        self._missing_maps.add(name)
        if self._draw.random.random() < 0.5:
            made["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": name}}]
        else:
            sources: list[Object] = [{"configMap": {"name": name}}, {"emptyDir": {}}]
            made["spec"]["volumes"] = [{"name": f"v{n}", **source} for n, source in enumerate(sources)]

    def _create_generated(self) -> StoreWrite:
        """A create that were carried out twice would make two pods."""
        self._generated += 1
        made = pod("", self._draw.random)
        made["metadata"] = {"generateName": "gen-", "labels": {"sim": "generated"}}
        return _create(made)

    def _create_map(self) -> StoreWrite:
        name = min(self._missing_maps)
        self._missing_maps.discard(name)
        obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"KEY": "value"}}
        return Create(resource="configmaps", namespace=NAMESPACE, object=obj)

    def _take(self) -> str:
        name = self._draw.random.choice(sorted(self._wanted))
        self._wanted.discard(name)
        return name

    def _delete(self) -> StoreWrite:
        return Delete(key=_key(self._take()))

    def _delete_at_once(self) -> StoreWrite:
        """`kubectl delete --force`. Where nothing goes wrong users are patient."""
        return Delete(key=_key(self._take()), grace_period_seconds=None if self._is_calm else 0)

    def unfinished(self, look: Look) -> Iterable[str]:
        generated = 0
        for found in look.all(Pod):
            name = found.metadata.name
            if found.metadata.namespace != NAMESPACE or found.metadata.owner_references:
                continue
            generated += found.metadata.label("sim") == "generated"
            if name.startswith("pod-") and name not in self._wanted:
                yield f"pod {name} was deleted and is there"
        if generated > self._generated or (self._is_calm and generated < self._generated):
            yield f"{self._generated} pods were made with a generated name, {generated} are there"
        for name in sorted(self._wanted) if self._is_calm else ():
            if look.get(Pod, NAMESPACE, name) is None:
                yield f"pod {name} is not there"


def _create(made: Object) -> Create:
    return Create(resource="pods", namespace=NAMESPACE, object=made)


def _key(name: str) -> Key:
    return Key("pods", NAMESPACE, name)

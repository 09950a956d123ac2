"""Users who change pods that run: they give them more or less CPU, and add ephemeral containers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from actors.api.codec import Object
from actors.api.key import Key, Stored
from actors.reconcile.actions import Patch, PatchType, StoreWrite
from actors.sim.manifests import IMAGE
from actors.sim.users.scenario import Draw, Wish

#: The last one is more than any node has.
_CPUS = ("50m", "200m", "700m", "1500m", "9")


class Changers:
    """`objects`: what is in the store now. What pods have in the end is told beside what they ask for (`rest.pods`)."""

    def __init__(self, draw: Draw, objects: Callable[[], Mapping[Key, Stored]]) -> None:
        self._draw, self._objects = draw, objects

    def wishes(self) -> Sequence[Wish]:
        return [self._resize, self._resize, self._debug] if self._pods() else [self._touch]

    def _pods(self) -> list[Key]:
        """Those on a node that nobody's quota bounds: it might refuse them more."""
        bounded = {key.namespace for key in self._objects() if key.resource == "resourcequotas"}
        return sorted(
            key
            for key, stored in self._objects().items()
            if key.resource == "pods" and key.namespace not in bounded and b'"nodeName"' in stored.body
        )

    def _touch(self) -> StoreWrite:
        """There is nothing to change."""
        return Patch(key=Key("namespaces", "", "default"), patch={"metadata": {"annotations": {"sim/looked": "once"}}})

    def _resize(self) -> StoreWrite:
        key, cpu = self._draw.random.choice(self._pods()), self._draw.random.choice(_CPUS)
        main: Object = {"name": "main", "resources": {"limits": {"cpu": cpu}, "requests": {"cpu": cpu}}}
        if self._draw.random.random() < 0.3 and b'"restartPolicy":"Never"' not in self._objects()[key].body:
            main["resizePolicy"] = [{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]
        patch = {"spec": {"containers": [main]}}
        return Patch(key=key, patch=patch, type=PatchType.STRATEGIC, subresource="resize")

    def _debug(self) -> StoreWrite:
        run_ms = self._draw.random.choice((-1, 300))
        added: Object = {"name": self._draw.name("look"), "image": IMAGE}
        added["env"] = [{"name": "SIM_RUN_MS", "value": str(run_ms)}]
        if self._draw.random.random() < 0.5:
            added["targetContainerName"] = "main"
        patch = {"spec": {"ephemeralContainers": [added]}}
        key = self._draw.random.choice(self._pods())
        return Patch(key=key, patch=patch, type=PatchType.STRATEGIC, subresource="ephemeralcontainers")

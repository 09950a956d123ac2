"""ExtendedResourceToleration: a pod that asks for GPUs tolerates the taint that keeps others off GPU nodes.

The taint's key is the resource's name. Off unless enabled, as in kube-apiserver.
"""

from __future__ import annotations

from typing import ClassVar

from actors.api.codec import Object
from actors.store.admission.plugin import Plugin, Request


class ExtendedResourceToleration(Plugin, frozen=True):
    resources: ClassVar[frozenset[str]] = frozenset({"pods"})

    def mutate(self, request: Request, obj: Object) -> Object:
        spec = obj["spec"]
        containers = (*(spec.get("containers") or ()), *(spec.get("initContainers") or ()))
        asked = {name for container in containers for name in _requests(container) if _is_extended(name)}
        present = spec.get("tolerations") or []
        added = [row for name in sorted(asked) if (row := {"key": name, "operator": "Exists"}) not in present]
        return {**obj, "spec": {**spec, "tolerations": [*present, *added]}} if added else obj


def _requests(container: Object) -> Object:
    return (container.get("resources") or {}).get("requests") or {}


def _is_extended(name: str) -> bool:
    domain, slash, _ = name.partition("/")
    return bool(slash) and domain != "kubernetes.io" and not domain.endswith(".kubernetes.io")

"""StorageObjectInUseProtection: a claim or a volume that is in use goes only when it no longer is.

The finalizers are taken off by `controllers/volume_protection.py`.
"""

from __future__ import annotations

from typing import ClassVar

from actors.api.codec import Object
from actors.store.admission.plugin import Plugin, Request

_FINALIZERS = {
    "persistentvolumeclaims": "kubernetes.io/pvc-protection",
    "persistentvolumes": "kubernetes.io/pv-protection",
}


class StorageObjectInUseProtection(Plugin, frozen=True):
    resources: ClassVar[frozenset[str]] = frozenset(_FINALIZERS)

    def mutate(self, request: Request, obj: Object) -> Object:
        finalizer = _FINALIZERS[request.kind.resource]
        present = obj["metadata"].get("finalizers") or []
        if finalizer in present:
            return obj
        return {**obj, "metadata": {**obj["metadata"], "finalizers": [*present, finalizer]}}

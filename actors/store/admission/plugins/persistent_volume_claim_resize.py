"""PersistentVolumeClaimResize: a claim may only grow where it is bound and its class says that its volumes can."""

from __future__ import annotations

from typing import ClassVar

from actors.api.codec import Object, lens
from actors.api.key import Key
from actors.api.meta import Resource
from actors.api.quantity import parse_bytes
from actors.store.admission.plugin import Operation, Plugin, Request

_CANNOT = (
    "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"
)


class _StorageClass(Resource, frozen=True):
    allow_volume_expansion: bool | None = None


class PersistentVolumeClaimResize(Plugin, frozen=True):
    resources: ClassVar[frozenset[str]] = frozenset({"persistentvolumeclaims"})
    operations: ClassVar[frozenset[Operation]] = frozenset({Operation.UPDATE})

    def validate(self, request: Request, obj: Object) -> None:
        old = request.old or {}
        if _storage(obj) <= _storage(old):
            return
        if (old.get("status") or {}).get("phase") != "Bound":
            raise request.forbidden("Only bound persistent volume claims can be expanded")
        name, before = (claim["spec"].get("storageClassName") or "" for claim in (obj, old))
        stored = request.context.lookup(Key("storageclasses.storage.k8s.io", "", name)) if name == before else None
        if stored is None or not lens(stored, _StorageClass).allow_volume_expansion:
            raise request.forbidden(_CANNOT)


def _storage(claim: Object) -> int:
    """Bytes."""
    requests = ((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}
    return parse_bytes(requests.get("storage", 0))

"""`kubectl get` of volumes, claims and what storage drivers tell."""

from __future__ import annotations

import msgspec

from actors.api.codec import Object
from actors.gateway.tables.cells import (
    AGED,
    CREATED_AT,
    NAMED,
    UNSET,
    Shown,
    at,
    items,
    only_wide,
    printer,
    shown,
)
from actors.gateway.tables.table import NONE, Printer

_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
_IS_DEFAULT = "storageclass.kubernetes.io/is-default-class"


def _modes(found: list[str]) -> str:
    return ",".join(short for mode, short in _MODES.items() if mode in found)


def _phase(obj: Object) -> str:
    return "Terminating" if at(obj, "metadata.deletionTimestamp") else at(obj, "status.phase") or ""


def _class(obj: Object) -> str:
    annotations = at(obj, "metadata.annotations") or {}
    return annotations.get("volume.beta.kubernetes.io/storage-class") or at(obj, "spec.storageClassName") or ""


def _claim(volume: Object) -> str:
    claim = at(volume, "spec.claimRef") or {}
    return f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else ""


def _bound(claim: Object, path: str) -> object:
    """What is known of a claim once it has a volume."""
    return at(claim, path) if at(claim, "spec.volumeName") else None


def _joined(obj: Object, path: str, field: str) -> str:
    return ",".join(str(item.get(field, "")) for item in items(obj, path))


_VOLUME_MODE = only_wide(shown("VolumeMode", "spec.volumeMode", UNSET))
_ATTRIBUTES = shown("VolumeAttributesClass", "spec.volumeAttributesClassName", UNSET)
VOLUMES = printer(
    shown("Capacity", "spec.capacity.storage"),
    shown("Access Modes", lambda obj: _modes(items(obj, "spec.accessModes"))),
    shown("Reclaim Policy", "spec.persistentVolumeReclaimPolicy"),
    shown("Status", _phase),
    shown("Claim", _claim),
    shown("StorageClass", _class),
    _ATTRIBUTES,
    shown("Reason", "status.reason"),
    AGED,
    _VOLUME_MODE,
)
CLAIMS = printer(
    shown("Status", _phase),
    shown("Volume", "spec.volumeName"),
    shown("Capacity", lambda obj: str(_bound(obj, "status.capacity.storage") or "")),
    shown("Access Modes", lambda obj: _modes(items(obj, "status.accessModes") if _bound(obj, "status") else [])),
    shown("StorageClass", _class),
    _ATTRIBUTES,
    AGED,
    _VOLUME_MODE,
)


def _class_name(obj: Object) -> str:
    is_default = at(obj, "metadata.annotations") or {}
    return str(at(obj, "metadata.name")) + (" (default)" if is_default.get(_IS_DEFAULT) == "true" else "")


def _marked_default(plain: Printer) -> Printer:
    """With ` (default)` behind the name of the class that claims without one get."""
    name = Shown(NAMED.column, lambda obj, now: _class_name(obj))
    return msgspec.structs.replace(plain, cells=lambda obj, now: (name.read(obj, now), *plain.cells(obj, now)[1:]))


CLASSES = _marked_default(
    printer(
        shown("Provisioner", "provisioner"),
        shown("ReclaimPolicy", "reclaimPolicy", "Delete"),
        shown("VolumeBindingMode", "volumeBindingMode", "Immediate"),
        shown("AllowVolumeExpansion", "allowVolumeExpansion", False),
        AGED,
    )
)
DRIVERS = printer(
    shown("AttachRequired", "spec.attachRequired", True, "boolean"),
    shown("PodInfoOnMount", "spec.podInfoOnMount", False, "boolean"),
    shown("StorageCapacity", "spec.storageCapacity", False, "boolean"),
    shown("TokenRequests", lambda obj: _joined(obj, "spec.tokenRequests", "audience") or UNSET),
    shown("RequiresRepublish", "spec.requiresRepublish", False, "boolean"),
    shown("Modes", lambda obj: ",".join(items(obj, "spec.volumeLifecycleModes")) or NONE),
    AGED,
)
DRIVER_NODES = printer(shown("Drivers", lambda obj: len(items(obj, "spec.drivers")), type="integer"), AGED)
CAPACITIES = printer(CREATED_AT)
_ATTACHER = shown("Attacher", "spec.attacher")
ATTACHMENTS = printer(
    Shown(msgspec.structs.replace(_ATTACHER.column, format="name"), _ATTACHER.read),
    shown("PV", "spec.source.persistentVolumeName"),
    shown("Node", "spec.nodeName"),
    shown("Attached", "status.attached", False, "boolean"),
    AGED,
)
ATTRIBUTES_CLASSES = printer(shown("DriverName", "driverName"), AGED)

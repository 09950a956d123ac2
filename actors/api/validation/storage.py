"""PersistentVolumes and their claims (pkg/apis/core/validation). What one field alone must hold is in rules.json."""

from __future__ import annotations

from collections.abc import Callable

from actors.api.codec import Object
from actors.api.errors import Cause
from actors.api.quantity import parse_millis
from actors.api.validation.causes import Causes, forbidden, required, wrong

#: Of a volume's spec all that is not where it comes from.
VOLUME_FIELDS = frozenset(
    {
        "accessModes",
        "capacity",
        "claimRef",
        "mountOptions",
        "nodeAffinity",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "volumeAttributesClassName",
        "volumeMode",
    }
)
_CLAIM_RULE = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
)


def _claim(spec: Object, path: str) -> Causes:
    yield from _modes(spec, path)
    size = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if size is None:
        yield required(f"{path}.resources[storage]")
    elif parse_millis(size) <= 0:
        yield wrong(f"{path}.resources[storage]", size, "must be greater than zero")
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if source and reference and {name: reference.get(name) for name in source} != source:
        yield wrong(path, "", "must match dataSourceRef")


def _modes(spec: Object, path: str) -> Causes:
    modes = spec.get("accessModes") or ()
    if "ReadWriteOncePod" in modes and len(modes) > 1:
        yield forbidden(f"{path}.accessModes", "may not use ReadWriteOncePod with other access modes")


def _volume(spec: Object, path: str) -> Causes:
    yield from _modes(spec, path)
    sources = sorted(name for name in spec.keys() - VOLUME_FIELDS if spec[name] is not None)
    if not sources:
        yield required(path, "must specify a volume type")
    for name in sources[1:]:
        yield forbidden(f"{path}.{name}", "may not specify more than 1 volume type")
    capacity = spec.get("capacity")
    if capacity and set(capacity) != {"storage"}:
        told = 'supported values: "storage"'
        yield Cause(f"{path}.capacity", f"Unsupported value: {sorted(capacity)}: {told}", "FieldValueNotSupported")
    elif capacity and parse_millis(capacity["storage"]) <= 0:
        yield wrong(f"{path}.capacity[storage]", capacity["storage"], "must be greater than zero")
    affinity = spec.get("nodeAffinity")
    if spec.get("local") is not None and affinity is None:
        yield required("metadata.annotations", "Local volume requires node affinity")
    if isinstance(affinity, dict) and affinity.get("required") is None:
        yield required(f"{path}.nodeAffinity.required", "must specify required node constraints")
    host_path = str((spec.get("hostPath") or {}).get("path") or "")
    if ".." in host_path.split("/"):
        yield wrong(f"{path}.hostPath.path", host_path, "must not contain '..'")
    if host_path == "/" and spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        yield forbidden(f"{path}.persistentVolumeReclaimPolicy", "may not be 'recycle' for a hostPath mount of '/'")


def validate_claim(claim: Object, old: Object | None) -> Causes:
    if old is None:
        return
    new, before = claim.get("spec") or {}, old.get("spec") or {}
    bound = (old.get("status") or {}).get("phase") == "Bound"
    free = {"volumeName"} if not before.get("volumeName") else set()
    free |= {"storageClassName"} if before.get("storageClassName") is None and not before.get("volumeName") else set()
    free |= {"volumeAttributesClassName"} if bound else set()
    if _fixed(new, free, sized=not bound) != _fixed(before, free, sized=not bound):
        yield forbidden("spec", _CLAIM_RULE)
    elif bound:
        yield from _shrunk(new, before, old)


def _fixed(spec: Object, free: set[str], *, sized: bool) -> Object:
    """What may not change; `sized`: its size neither."""
    rest = {name: value for name, value in spec.items() if name not in free}
    if not sized:
        requests = {k: v for k, v in ((spec.get("resources") or {}).get("requests") or {}).items() if k != "storage"}
        rest["resources"] = {**(spec.get("resources") or {}), "requests": requests}
    return rest


def _shrunk(new: Object, before: Object, old: Object) -> Causes:
    """A claim that could not grow may ask for less again, but for no less than it has."""
    asked, was = _storage(new.get("resources"), "requests"), _storage(before.get("resources"), "requests")
    held = _storage(old.get("status"), "capacity")
    if asked is not None and was is not None and asked < was and (held is None or asked <= held):
        yield forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")


def _storage(obj: Object | None, name: str) -> int | None:
    size = ((obj or {}).get(name) or {}).get("storage")
    return parse_millis(size) if size is not None else None


def validate_volume(volume: Object, old: Object | None) -> Causes:
    if old is None:
        return
    new, before = volume.get("spec") or {}, old.get("spec") or {}
    sources = {name for name in (*new, *before) if name not in VOLUME_FIELDS}
    if any(new.get(name) != before.get(name) for name in sources):
        at = "spec.persistentvolumesource"
        yield forbidden(at, f"{at} is immutable after creation")
    if before.get("volumeMode") != new.get("volumeMode"):
        yield wrong("spec.volumeMode", new.get("volumeMode"), "field is immutable")
    if before.get("nodeAffinity") is not None and new.get("nodeAffinity") != before["nodeAffinity"]:
        yield wrong("spec.nodeAffinity", new.get("nodeAffinity"), "field is immutable")


def _attachment(spec: Object, path: str) -> Causes:
    source, rule = spec.get("source") or {}, "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
    given = [name for name in ("inlineVolumeSpec", "persistentVolumeName") if source.get(name)]
    if not given:
        yield required(f"{path}.source", rule)
    elif len(given) > 1:
        yield forbidden(f"{path}.source", rule)


STORAGE_RELATIONS: dict[str, Callable[[Object, str], Causes]] = {
    "core.v1.PersistentVolumeClaimSpec": _claim,
    "core.v1.PersistentVolumeSpec": _volume,
    "storage.v1.VolumeAttachmentSpec": _attachment,
}

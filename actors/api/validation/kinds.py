"""Rules that only a whole object of one kind can break (pkg/apis/*/validation). Fields alone: rules.json."""

from __future__ import annotations

from typing import Any

from actors.api.codec import Object
from actors.api.validation.causes import Causes, forbidden, required, wrong

_PRIORITY_MAX = 1_000_000_000
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
_BOUND_CLAIM_FIELDS = ("resources", "volumeAttributesClassName", "volumeName")
_CLAIM_RULE = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
)


def _spec(obj: Object | None) -> Object:
    return (obj or {}).get("spec") or {}


def validate_claim(claim: Object, old: Object | None) -> Causes:
    if old is None:
        return
    new, before = _spec(claim), _spec(old)
    moved = before.get("volumeName") and new.get("volumeName") != before["volumeName"]
    if moved or _without(new, _BOUND_CLAIM_FIELDS) != _without(before, _BOUND_CLAIM_FIELDS):
        yield forbidden("spec", _CLAIM_RULE)


def _without(spec: Object, names: tuple[str, ...]) -> Object:
    return {name: value for name, value in spec.items() if name not in names}


def validate_volume(volume: Object, old: Object | None) -> Causes:
    if old is None:
        return
    sources = {name for name in (*_spec(volume), *_spec(old)) if name not in VOLUME_FIELDS}
    if any(_spec(volume).get(name) != _spec(old).get(name) for name in sources):
        at = "spec.persistentvolumesource"
        yield forbidden(at, f"{at} is immutable after creation")


def validate_priority_class(priority: Object, old: Object | None) -> Causes:
    value, name = priority.get("value") or 0, str((priority.get("metadata") or {}).get("name", ""))
    if name.startswith("system-"):
        if name not in ("system-node-critical", "system-cluster-critical"):
            told = "priority class names with 'system-' prefix are reserved for system use only"
            yield forbidden("metadata.name", told)
    elif value > _PRIORITY_MAX:
        yield forbidden("value", f"maximum allowed value of a user defined priority is {_PRIORITY_MAX}")


def validate_api_service(api: Object, old: Object | None) -> Causes:
    spec, name = _spec(api), (api.get("metadata") or {}).get("name", "")
    expected = f"{spec.get('version', '')}.{spec.get('group', '')}"
    if name != expected:
        yield wrong("metadata.name", name, f'must be `spec.version+"."+spec.group`: {expected}')
    if spec.get("service") and spec.get("insecureSkipTLSVerify") and spec.get("caBundle"):
        yield wrong("spec.insecureSkipTLSVerify", True, "may not be true if caBundle is present")


#: What a Secret of a type must hold.
_SECRET_KEYS = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}


def validate_secret_type(secret: Object) -> Causes:
    kind, data = secret.get("type"), secret.get("data") or {}
    for key in _SECRET_KEYS.get(str(kind), ()):
        if key not in data:
            yield required(f"data[{key}]")
    if kind == "kubernetes.io/basic-auth" and not data.keys() & {"username", "password"}:
        yield required("data[username]")
        yield required("data[password]")
    annotations: dict[str, Any] = (secret.get("metadata") or {}).get("annotations") or {}
    if kind == "kubernetes.io/service-account-token" and not annotations.get(_ACCOUNT):
        yield required(f"metadata.annotations[{_ACCOUNT}]")


_ACCOUNT = "kubernetes.io/service-account.name"

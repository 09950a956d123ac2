"""Rules that only a whole object of one kind can break (pkg/apis/*/validation). Fields alone: rules.json."""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from actors.api.codec import Object
from actors.api.validation.causes import Causes, forbidden, required, wrong

_PRIORITY_MAX = 1_000_000_000


def _spec(obj: Object | None) -> Object:
    return (obj or {}).get("spec") or {}


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
    if not spec.get("group") and spec.get("version") != "v1":
        yield required("spec.group", "only v1 may have an empty group and it better be legacy kube")
    if spec.get("service") is None:
        if spec.get("caBundle"):
            yield wrong("spec.caBundle", "<bundle>", "local APIServices may not have a caBundle")
        if spec.get("insecureSkipTLSVerify"):
            yield wrong("spec.insecureSkipTLSVerify", True, "local APIServices may not have insecureSkipTLSVerify")
        return
    if spec.get("insecureSkipTLSVerify") and spec.get("caBundle"):
        yield wrong("spec.insecureSkipTLSVerify", True, "may not be true if caBundle is present")


#: What a Secret of a type must hold.
_SECRET_KEYS = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}


def _is_json(value: str) -> bool:
    try:
        msgspec.json.decode(base64.b64decode(value))
    except (ValueError, msgspec.DecodeError):
        return False
    return True


def validate_secret_type(secret: Object) -> Causes:
    kind, data = secret.get("type"), secret.get("data") or {}
    for key in _SECRET_KEYS.get(str(kind), ()):
        if key not in data:
            yield required(f"data[{key}]")
        elif key.startswith(".docker") and not _is_json(data[key]):
            yield wrong(f"data[{key}]", "<secret contents redacted>", "it is not JSON")
    if kind == "kubernetes.io/basic-auth" and not data.keys() & {"username", "password"}:
        yield required("data[username]")
        yield required("data[password]")
    annotations: dict[str, Any] = (secret.get("metadata") or {}).get("annotations") or {}
    if kind == "kubernetes.io/service-account-token" and not annotations.get(_ACCOUNT):
        yield required(f"metadata.annotations[{_ACCOUNT}]")


_ACCOUNT = "kubernetes.io/service-account.name"

"""The APIServices of what is served here, and what extension servers must know to trust us (extension-apiserver-
authentication). Made where they are missing; an APIService that somebody has made his own stays his. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from actors.api.clock import Millis, format_time
from actors.api.codec import Object, lens
from actors.api.key import Key, Stored
from actors.api.kinds import CONFIG_MAP, NODE_METRICS, kind_of
from actors.gateway.aggregation.probing import Verdict
from actors.gateway.aggregation.services import AVAILABLE, RESOURCE, ApiService, GroupVersion
from actors.reconcile.actions import Create, Delete, Patch, StoreWrite

_MANAGED = "kube-aggregator.kubernetes.io/automanaged"
_ON_START, _ALWAYS = "onstart", "true"
#: Not listed, as in Kubernetes: its own; and what an add-on is free to serve in our place.
_UNLISTED = frozenset({"apiregistration.k8s.io", NODE_METRICS.group, "raypod.io"})
#: (minimum of the group, of the version): kube-apiserver's order (cmd/kube-apiserver/app/aggregator.go).
_PRIORITIES = {
    "": (18000, 1),
    "events.k8s.io": (17750, 5),
    "apps": (17800, 15),
    "authentication.k8s.io": (17700, 15),
    "authorization.k8s.io": (17600, 15),
    "autoscaling": (17500, 15),
    "batch": (17400, 15),
    "certificates.k8s.io": (17300, 15),
    "networking.k8s.io": (17200, 15),
    "policy": (17100, 15),
    "rbac.authorization.k8s.io": (17000, 15),
    "storage.k8s.io": (16800, 15),
    "apiextensions.k8s.io": (16700, 15),
    "admissionregistration.k8s.io": (16700, 15),
    "scheduling.k8s.io": (16600, 15),
    "coordination.k8s.io": (16500, 15),
    "node.k8s.io": (16300, 15),
    "discovery.k8s.io": (16200, 12),
    "flowcontrol.apiserver.k8s.io": (16100, 21),
    "resource.k8s.io": (16050, 15),
}
_CUSTOM_PRIORITY = (1000, 100)
_AUTHENTICATION = Key(CONFIG_MAP.resource, "kube-system", "extension-apiserver-authentication")
_READER = Key("roles.rbac.authorization.k8s.io", "kube-system", "extension-apiserver-authentication-reader")


def plan_registration(
    static: Iterable[GroupVersion], custom: Iterable[GroupVersion], there: Mapping[Key, ApiService]
) -> Iterator[StoreWrite]:
    """`static` for ever, `custom` as long as a definition serves them."""
    wanted = {name: (gv, _ON_START) for gv in static if gv[0] not in _UNLISTED and (name := name_of(gv))}
    wanted |= {name: (gv, _ALWAYS) for gv in custom if (name := name_of(gv)) not in wanted}
    for name, (group_version, how) in wanted.items():
        if Key(RESOURCE, "", name) not in there:
            yield Create(resource=RESOURCE, namespace="", object=_local(group_version, how))
    for key, service in there.items():
        if (service.metadata.labels or {}).get(_MANAGED) == _ALWAYS and key.name not in wanted:
            yield Delete(key=key, uid=service.metadata.uid)


def name_of(group_version: GroupVersion) -> str:
    return f"{group_version[1]}.{group_version[0]}"


def _local(group_version: GroupVersion, how: str) -> Object:
    group, version = group_version
    least, order = _PRIORITIES.get(group, _CUSTOM_PRIORITY)
    spec = {"version": version, "groupPriorityMinimum": least, "versionPriority": order}
    metadata = {"name": name_of(group_version), "labels": {_MANAGED: how}}
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": metadata,
        "spec": {**spec, **({"group": group} if group else {})},
    }


def plan_condition(key: Key, service: ApiService, verdict: Verdict, now: Millis) -> StoreWrite | None:
    """None when the status says so already."""
    known = service.available
    if known is not None and (known.status, known.reason, known.message) == verdict[:3]:
        return None
    since = known.last_transition_time if known is not None and known.status == verdict.status else None
    row = {"type": AVAILABLE, "status": verdict.status, "reason": verdict.reason, "message": verdict.message}
    status = {"conditions": [{"lastTransitionTime": since or format_time(now), **row}]}
    return Patch(key=key, patch={"status": status}, subresource="status", uid=service.metadata.uid)


def plan_trust(client_ca: str, proxy_ca: str, there: Stored | None, has_reader: bool) -> Iterator[StoreWrite]:
    """The ConfigMap that extension servers read, and the Role that lets them."""
    data = {
        "client-ca-file": client_ca,
        "requestheader-client-ca-file": proxy_ca,
        "requestheader-allowed-names": json.dumps(["front-proxy-client"]),
        "requestheader-username-headers": json.dumps(["X-Remote-User"]),
        "requestheader-uid-headers": json.dumps(["X-Remote-Uid"]),
        "requestheader-group-headers": json.dumps(["X-Remote-Group"]),
        "requestheader-extra-headers-prefix": json.dumps(["X-Remote-Extra-"]),
    }
    if there is None:
        metadata = {"name": _AUTHENTICATION.name, "namespace": _AUTHENTICATION.namespace}
        obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
        yield Create(resource=_AUTHENTICATION.resource, namespace=_AUTHENTICATION.namespace, object=obj)
    else:
        yield Patch(key=_AUTHENTICATION, patch={"data": data})
    if not has_reader:
        yield Create(resource=_READER.resource, namespace=_READER.namespace, object=_reader())


def trust_keys() -> tuple[Key, Key]:
    return _AUTHENTICATION, _READER


def _reader() -> Object:
    rule = {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "resourceNames": [_AUTHENTICATION.name],
        "verbs": ["get", "list", "watch"],
    }
    metadata = {
        "name": _READER.name,
        "namespace": _READER.namespace,
        "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
    }
    kind = kind_of(_READER.resource)
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, "rules": [rule]}


def read_service(stored: Stored) -> ApiService:
    """Raises msgspec.ValidationError."""
    return lens(stored, ApiService)

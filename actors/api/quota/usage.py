"""What one object uses, by the names that a quota may count: `pods`, `requests.cpu`, `count/widgets.example.com`.

A pod that has finished uses no `pods` and no compute any more, and counts as an object until it is gone. Unlike in
Kubernetes a pod does so too when its grace period has passed and its node has not confirmed: what is used then changes
with writes alone and never with time, so it can be exact at every revision.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from actors.api.amount import Amount, Amounts, parse_amount
from actors.api.codec import Object
from actors.api.pod_resources import pod_limits, pod_requests

PODS, SERVICES, CLAIMS = "pods", "services", "persistentvolumeclaims"
DEVICE_CLAIMS = "resourceclaims.resource.k8s.io"
#: Nobody's quota counts these: they come and go by themselves.
IGNORED = frozenset({"events", "events.events.k8s.io"})
_ONE, _NANO = Amount(10**9), 10**9
_COUNT, _REQUESTS, _LIMITS = "count/", "requests.", "limits."
_COMPUTE = ("cpu", "memory", "ephemeral-storage")
_STORAGE_CLASS, _DEVICE_CLASS = ".storageclass.storage.k8s.io/", ".deviceclass.resource.k8s.io/devices"
#: Counted by their plain names, as before there was `count/`.
_PLAIN = frozenset({"replicationcontrollers", "resourcequotas", "secrets", "configmaps"})
_DEVICES_MAX = 32
_POD_NAMES = frozenset({PODS, *_COMPUTE, *(p + name for p in (_REQUESTS, _LIMITS) for name in _COMPUTE)})
_SERVICE_NAMES = frozenset({SERVICES, "services.nodeports", "services.loadbalancers"})


def usage_of(resource: str, obj: Object) -> Amounts:
    """Raises ValueError for what is no quantity."""
    used: Amounts = {_COUNT + resource: _ONE}
    if resource == PODS:
        return used | _pod_usage(obj)
    if resource == SERVICES:
        return used | _service_usage(obj.get("spec") or {})
    if resource == CLAIMS:
        return used | _claim_usage(obj)
    if resource == DEVICE_CLAIMS:
        return used | _device_usage(obj.get("spec") or {})
    return used | {resource: _ONE} if resource in _PLAIN else used


def counted_by(resource: str, names: Iterable[str]) -> list[str]:
    """Of `names`, a quota's, those that objects of the resource count against."""
    return [name for name in names if name == _COUNT + resource or resource == _resource_of(name)]


def resources_counted(names: Iterable[str]) -> set[str]:
    """Whose objects a quota counts."""
    return {name.removeprefix(_COUNT) if name.startswith(_COUNT) else _resource_of(name) for name in names}


def _resource_of(name: str) -> str:
    """Whose objects count against a name that is no `count/`."""
    if name in _PLAIN:
        return name
    if name in _SERVICE_NAMES:
        return SERVICES
    if name in (CLAIMS, "requests.storage") or _STORAGE_CLASS in name:
        return CLAIMS
    if name.endswith(_DEVICE_CLASS):
        return DEVICE_CLAIMS
    is_pods = name in _POD_NAMES or name.startswith(("hugepages-", _REQUESTS))
    return PODS if is_pods else ""


# --- pods -------------------------------------------------------------------------------------------------------


def _pod_usage(pod: Object) -> Amounts:
    if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return {}
    spec = pod.get("spec") or {}
    return {PODS: _ONE, **compute_usage(pod_requests(spec), pod_limits(spec))}


def compute_usage(requests: Amounts, limits: Amounts) -> Amounts:
    """By the names that quotas have for them: extended resources are only counted as requests."""
    used: Amounts = {}
    for name, amount in requests.items():
        if name in _COMPUTE or name.startswith("hugepages-"):
            used[name] = amount
        used[_REQUESTS + name] = amount
    return used | {_LIMITS + name: amount for name, amount in limits.items() if name in _COMPUTE}


# --- services, claims -------------------------------------------------------------------------------------------


def _service_usage(spec: Object) -> Amounts:
    ports, balancers = 0, 0
    if spec.get("type") == "NodePort":
        ports = len(spec.get("ports") or ())
    elif spec.get("type") == "LoadBalancer":
        asked = spec.get("ports") or ()
        is_free = spec.get("allocateLoadBalancerNodePorts") is False
        ports, balancers = sum(bool(port.get("nodePort")) for port in asked) if is_free else len(asked), 1
    counts = {SERVICES: 1, "services.nodeports": ports, "services.loadbalancers": balancers}
    return {name: Amount(count * _NANO) for name, count in counts.items()}


def _claim_usage(claim: Object) -> Amounts:
    spec = claim.get("spec") or {}
    storage_class = _annotation(claim, "volume.beta.kubernetes.io/storage-class") or spec.get("storageClassName")
    used = {CLAIMS: _ONE}
    asked = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if asked is not None:
        given = ((claim.get("status") or {}).get("allocatedResources") or {}).get("storage", 0)
        used["requests.storage"] = _whole(max(parse_amount(asked), parse_amount(given), key=lambda it: it.nanos))
    if storage_class:
        used |= {f"{storage_class}{_STORAGE_CLASS}{name}": amount for name, amount in list(used.items())}
    return used


def _annotation(obj: Object, name: str) -> Any:
    return ((obj.get("metadata") or {}).get("annotations") or {}).get(name)


def _whole(amount: Amount) -> Amount:
    return Amount(-(-amount.nanos // _NANO) * _NANO, amount.form)


def _device_usage(spec: Object) -> Amounts:
    """Devices by class; of alternatives the most that any of them may take."""
    counts: dict[str, int] = {}
    for request in (spec.get("devices") or {}).get("requests") or ():
        most: dict[str, int] = {}
        for part in [request["exactly"]] if request.get("exactly") else request.get("firstAvailable") or ():
            count = _DEVICES_MAX if part.get("allocationMode") == "All" else part.get("count", 1)
            name = part.get("deviceClassName", "")
            most[name] = max(most.get(name, 0), count)
        for name, count in most.items():
            counts[name] = counts.get(name, 0) + count
    return {name + _DEVICE_CLASS: Amount(count * _NANO) for name, count in counts.items()}

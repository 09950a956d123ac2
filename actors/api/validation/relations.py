"""Rules between fields, one small function per schema definition; the table at the end (pkg/apis/*/validation).

What one field alone must hold is data: rules.json.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from actors.api.codec import Object
from actors.api.errors import Cause
from actors.api.validation.causes import Causes, dicts_of, forbidden, required, wrong
from actors.api.validation.kinds import VOLUME_FIELDS
from actors.api.validation.pod_relations import POD_RELATIONS
from actors.api.validation.rules import Judge, Relation


def _requirement(need: Object, path: str) -> Causes:
    operator, values = need.get("operator"), need.get("values")
    if operator in ("In", "NotIn") and not values:
        yield required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'")
    if operator in ("Exists", "DoesNotExist") and values:
        yield forbidden(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")


def _one_of(obj: Object, path: str, names: Iterable[str], what: str) -> Causes:
    given = [name for name in names if obj.get(name) is not None]
    if not given:
        yield required(path, f"must specify a {what}")
    for name in given[1:]:
        yield forbidden(f"{path}.{name}", f"may not specify more than 1 {what}")


def _claim(spec: Object, path: str) -> Causes:
    if not ((spec.get("resources") or {}).get("requests") or {}).get("storage"):
        yield required(f"{path}.resources[storage]")


def _volume(spec: Object, path: str) -> Causes:
    yield from _one_of(spec, path, sorted(spec.keys() - VOLUME_FIELDS), "volume type")
    capacity = spec.get("capacity")
    if capacity and set(capacity) != {"storage"}:
        cause = 'supported values: "storage"'
        yield Cause(f"{path}.capacity", f"Unsupported value: {sorted(capacity)}: {cause}", "FieldValueNotSupported")


def _autoscaler(spec: Object, path: str) -> Causes:
    low, high = spec.get("minReplicas") or 1, spec.get("maxReplicas") or 0
    if 0 < high < low:
        yield wrong(f"{path}.maxReplicas", high, "must be greater than or equal to `minReplicas`")


def _metric(metric: Object, path: str) -> Causes:
    kind = str(metric.get("type") or "")
    source = kind[:1].lower() + kind[1:]
    if kind and not metric.get(source):
        yield required(f"{path}.{source}", f"must populate the {source} metric source")


def _budget(spec: Object, path: str) -> Causes:
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        yield wrong(path, "", "minAvailable and maxUnavailable cannot be both set")


def _ingress(spec: Object, path: str) -> Causes:
    if not spec.get("rules") and not spec.get("defaultBackend"):
        yield wrong(path, "", "either `defaultBackend` or `rules` must be specified")


def _backend(backend: Object, path: str) -> Causes:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        yield wrong(path, "", "cannot set both resource and service backends")
    elif service is None and resource is None:
        yield required(path, "resource or service backend is required")
    elif service is not None:
        port = service.get("port") or {}
        if bool(port.get("name")) == bool(port.get("number")):
            if port.get("name"):
                yield wrong(path, "", "cannot set both port name & port number")
            else:
                yield required(f"{path}.service.port", "port name or number is required")


def _peer(peer: Object, path: str) -> Causes:
    selectors = peer.get("podSelector") is not None or peer.get("namespaceSelector") is not None
    if peer.get("ipBlock") is None and not selectors:
        yield required(path, "must specify a peer")
    elif peer.get("ipBlock") is not None and selectors:
        yield forbidden(path, "may not specify both ipBlock and another peer")


def _validating_policy(spec: Object, path: str) -> Causes:
    if not spec.get("validations") and not spec.get("auditAnnotations"):
        yield required(f"{path}.validations", "validations or auditAnnotations must be set")


def _actions(spec: Object, path: str) -> Causes:
    actions = spec.get("validationActions") or []
    if "Deny" in actions and "Warn" in actions:
        yield wrong(f"{path}.validationActions", "", "must not contain both Deny and Warn")


def _endpoint_slice(endpoint_slice: Object, path: str) -> Causes:
    """Addresses are of the slice's type."""
    version = {"IPv4": 4, "IPv6": 6}.get(endpoint_slice.get("addressType", ""))
    for i, endpoint in enumerate(dicts_of(endpoint_slice.get("endpoints"))):
        for j, address in enumerate(endpoint.get("addresses") or ()):
            if version and not _is_address(address, version):
                at = f"endpoints[{i}].addresses[{j}]"
                yield wrong(at, address, f"must be a valid IPv{version} address")


def _is_address(text: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(text).version == version
    except ValueError:
        return False


def _device_request(request: Object, path: str) -> Causes:
    if bool(request.get("exactly")) == bool(request.get("firstAvailable")):
        yield required(path, "exactly one of `exactly` or `firstAvailable` is required")


def _priority_level(spec: Object, path: str) -> Causes:
    kind = spec.get("type")
    for name, wanted in (("limited", "Limited"), ("exempt", "Exempt")):
        if spec.get(name) is not None and kind != wanted:
            yield forbidden(f"{path}.{name}", f"must be nil if the type is not {wanted}")
    if kind == "Limited" and spec.get("limited") is None:
        yield required(f"{path}.limited", "must not be empty when type is Limited")


RELATIONS: dict[str, Relation] = {
    **POD_RELATIONS,
    "meta.v1.LabelSelectorRequirement": _requirement,
    "core.v1.PersistentVolumeClaimSpec": _claim,
    "core.v1.PersistentVolumeSpec": _volume,
    "autoscaling.v2.HorizontalPodAutoscalerSpec": _autoscaler,
    "autoscaling.v2.MetricSpec": _metric,
    "policy.v1.PodDisruptionBudgetSpec": _budget,
    "networking.v1.IngressSpec": _ingress,
    "networking.v1.IngressBackend": _backend,
    "networking.v1.NetworkPolicyPeer": _peer,
    "admissionregistration.v1.ValidatingAdmissionPolicySpec": _validating_policy,
    "admissionregistration.v1.ValidatingAdmissionPolicyBindingSpec": _actions,
    "discovery.v1.EndpointSlice": _endpoint_slice,
    "resource.v1.DeviceRequest": _device_request,
    "flowcontrol.v1.PriorityLevelConfigurationSpec": _priority_level,
}

#: Of every kind that is not judged by hand, and of the parts that are not.
JUDGE = Judge(RELATIONS)

"""Endpoints (core/v1) of Services with a selector, for clients of the time before there were slices
(pkg/controller/endpoint). They go with their Service.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from actors.api.clock import Millis, format_time
from actors.api.codec import Object
from actors.api.key import Key
from actors.api.kinds import ENDPOINTS
from actors.api.meta import key_in
from actors.api.pod import Pod
from actors.api.services import EndpointAddress, EndpointPort, Endpoints, EndpointSubset, Service
from actors.controllers.endpoint_packing import HEADLESS_LABEL, TRIGGER_TIME
from actors.controllers.pods import is_ready
from actors.controllers.service_pods import (
    addresses_of,
    changed_at,
    find_port,
    host_name,
    named_alike,
    pods_behind,
    selects_pods,
    services_of,
)
from actors.reconcile.actions import Action, Create, Delete, Patch
from actors.reconcile.controller import controller
from actors.reconcile.view import View

_KEEPER_LABEL, _KEEPER = "endpoints.kubernetes.io/managed-by", "endpoint-controller"
_OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
_ADDRESSES_MAX = 1000


def of_service(key: Key, service: Service, view: View) -> Iterable[Key]:
    return (Key(ENDPOINTS.resource, key.namespace, key.name),)


@controller(Endpoints, watches={Service: of_service}, name="endpoints-of-no-service")
def forget(endpoints: Endpoints, view: View, now: Millis) -> Iterable[Action]:
    """Those that this controller has made go when their Service is gone; a user's stay."""
    meta = endpoints.metadata
    if (
        meta.label(_KEEPER_LABEL) == _KEEPER
        and not meta.is_deleting
        and view.get(Service, meta.namespace, meta.name) is None
    ):
        yield Delete(key=key_in(ENDPOINTS.resource, meta), uid=meta.uid)


@controller(Service, watches={Pod: services_of, Endpoints: named_alike})
def reconcile(service: Service, view: View, now: Millis) -> Iterable[Action]:
    if service.metadata.is_deleting or not selects_pods(service):
        return
    meta = service.metadata
    pods = pods_behind(service, view, ending=service.spec.publish_not_ready_addresses)
    subsets, is_cut = _cut(_pack(_rows(service, pods)))
    known = view.get(Endpoints, meta.namespace, meta.name)
    key = Key(ENDPOINTS.resource, meta.namespace, meta.name)
    headless = {} if service.has_address else {HEADLESS_LABEL: ""}
    labels = {**(meta.labels or {}), **headless, _KEEPER_LABEL: _KEEPER}
    if known is not None and (known.subsets or ()) == subsets and known.metadata.labels == labels:
        return
    at = max(map(changed_at, pods), default=0) if known is not None else meta.created_ms
    annotations = {
        TRIGGER_TIME: format_time(at) if at else None,
        _OVER_CAPACITY: "truncated" if is_cut else None,
    }
    told: Object = {"subsets": msgspec.json.decode(msgspec.json.encode(subsets))}
    if known is None:
        given = {name: text for name, text in annotations.items() if text}
        metadata = {"name": key.name, "namespace": key.namespace, "labels": labels, "annotations": given}
        obj = {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, **told}
        yield Create(resource=key.resource, namespace=key.namespace, object=obj)
        return
    changed = {"labels": {**dict.fromkeys(known.metadata.labels or {}), **labels}, "annotations": annotations}
    patch = {"metadata": changed, **told}
    yield Patch(key=key, patch=patch, uid=known.metadata.uid, revision=known.metadata.revision)


def _rows(service: Service, pods: Sequence[Pod]) -> Iterable[tuple[EndpointAddress, EndpointPort | None, bool]]:
    """Every address with every port, and whether it is ready."""
    family = (service.spec.ip_families or ("",))[0]
    for pod in pods:
        address = _address(service, pod, next(iter(addresses_of(pod, family)), ""))
        ready = service.spec.publish_not_ready_addresses or is_ready(pod)
        if address.ip and not service.spec.ports and not service.has_address:
            yield address, None, ready
        for port in (service.spec.ports or ()) if address.ip else ():
            number = find_port(pod, port)
            if number is not None:
                yield address, EndpointPort(port.name, number, port.protocol, port.app_protocol), ready


def _address(service: Service, pod: Pod, ip: str) -> EndpointAddress:
    meta = pod.metadata
    target = {"kind": "Pod", "namespace": meta.namespace, "name": meta.name, "uid": meta.uid}
    return EndpointAddress(ip, host_name(pod, service), pod.spec.node_name, target)


def _pack(rows: Iterable[tuple[EndpointAddress, EndpointPort | None, bool]]) -> tuple[EndpointSubset, ...]:
    """Ports that the same addresses have are one subset (pkg/api/v1/endpoints RepackSubsets)."""
    by_port: dict[EndpointPort | None, dict[str, tuple[EndpointAddress, bool]]] = {}
    for address, port, ready in rows:
        by_port.setdefault(port, {})[f"{address.ip} {(address.target_ref or {}).get('uid')}"] = (address, ready)
    by_addresses: dict[tuple[str, ...], list[EndpointPort]] = {}
    members: dict[tuple[str, ...], list[tuple[EndpointAddress, bool]]] = {}
    for port, there in by_port.items():
        mark = tuple(sorted(there))
        by_addresses.setdefault(mark, []).extend([port] if port is not None else [])
        members[mark] = [there[name] for name in mark]
    return tuple(_subset(members[mark], by_addresses[mark]) for mark in sorted(by_addresses))


def _subset(members: Sequence[tuple[EndpointAddress, bool]], ports: list[EndpointPort]) -> EndpointSubset:
    ready = tuple(address for address, is_ready_ in members if is_ready_)
    waiting = tuple(address for address, is_ready_ in members if not is_ready_)
    sorted_ports = tuple(sorted(ports, key=lambda port: (port.name, port.port, port.protocol)))
    return EndpointSubset(ready or None, waiting or None, sorted_ports or None)


def _cut(subsets: tuple[EndpointSubset, ...]) -> tuple[tuple[EndpointSubset, ...], bool]:
    """No more addresses than Endpoints may have, the ready ones first; and whether any were left out."""
    left = _ADDRESSES_MAX
    total = sum(len(subset.addresses or ()) + len(subset.not_ready_addresses or ()) for subset in subsets)
    if total <= left:
        return subsets, False
    kept: list[EndpointSubset] = []
    for subset in subsets:
        ready = (subset.addresses or ())[:left]
        left -= len(ready)
        kept.append(msgspec.structs.replace(subset, addresses=ready or None))
    for index, subset in enumerate(kept):
        waiting = (subset.not_ready_addresses or ())[:left]
        left -= len(waiting)
        kept[index] = msgspec.structs.replace(subset, not_ready_addresses=waiting or None)
    return tuple(subset for subset in kept if subset.addresses or subset.not_ready_addresses), True

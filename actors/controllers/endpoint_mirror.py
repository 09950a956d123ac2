"""Endpoints that users write for Services without a selector, as EndpointSlices
(pkg/controller/endpointslicemirroring).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from actors.api.clock import Millis
from actors.api.codec import Object
from actors.api.key import Key
from actors.api.kinds import ENDPOINTS
from actors.api.services import (
    KEEPER_LABEL,
    SERVICE_LABEL,
    Endpoints,
    EndpointSlice,
    EndpointSubset,
    Service,
    family_of,
)
from actors.controllers.endpoint_packing import TRIGGER_TIME, Group, Terms, Wanted, keep_slices, slices_of
from actors.controllers.endpoints import of_service
from actors.reconcile.actions import Action
from actors.reconcile.controller import controller
from actors.reconcile.view import View

_KEEPER = "endpointslicemirroring-controller.k8s.io"
_SKIP_LABEL = "endpointslice.kubernetes.io/skip-mirror"
_LEADER = "control-plane.alpha.kubernetes.io/leader"
_NOT_COPIED = (TRIGGER_TIME, "kubectl.kubernetes.io/last-applied-configuration")
#: Of one subset: each is one slice of each family.
_ENDPOINTS_MAX = 1000


def of_slice(key: Key, one: EndpointSlice, view: View) -> Iterable[Key]:
    name = one.metadata.label(SERVICE_LABEL)
    mine = name and one.metadata.label(KEEPER_LABEL) == _KEEPER
    return (Key(ENDPOINTS.resource, key.namespace, str(name)),) if mine else ()


@controller(Endpoints, watches={Service: of_service, EndpointSlice: of_slice})
def reconcile(endpoints: Endpoints, view: View, now: Millis) -> Iterable[Action]:
    meta = endpoints.metadata
    if meta.is_deleting:
        return
    known = slices_of(meta.name, meta.namespace, _KEEPER, view)
    labels = {**(meta.labels or {}), SERVICE_LABEL: meta.name, KEEPER_LABEL: _KEEPER}
    annotations = {name: text for name, text in (meta.annotations or {}).items() if name not in _NOT_COPIED}
    wanted = [*_wanted(endpoints)] if _is_mirrored(endpoints, view) else []
    yield from keep_slices(endpoints, wanted, known, Terms(labels, annotations, _ENDPOINTS_MAX), view)


def _is_mirrored(endpoints: Endpoints, view: View) -> bool:
    meta = endpoints.metadata
    service = view.get(Service, meta.namespace, meta.name)
    spoken_for = meta.label(_SKIP_LABEL) == "true" or meta.annotation(_LEADER) is not None
    return service is not None and not service.spec.selector and not spoken_for


def _wanted(endpoints: Endpoints) -> Iterable[Wanted]:
    groups: dict[bytes, Wanted] = {}
    for subset in endpoints.subsets or ():
        ports = tuple(_port(msgspec.to_builtins(port)) for port in subset.ports or ())
        for family, row in _rows(subset):
            group = Group(family, ports)
            there = groups.get(group.mark, Wanted(group, []))
            groups[group.mark] = Wanted(group, [*there.endpoints, row][:_ENDPOINTS_MAX])
    return groups.values()


def _rows(subset: EndpointSubset) -> Iterable[tuple[str, Object]]:
    for addresses, ready in ((subset.addresses, True), (subset.not_ready_addresses, False)):
        for address in addresses or ():
            row: Object = {"addresses": [address.ip], "conditions": {"ready": ready}}
            row |= {"targetRef": address.target_ref} if address.target_ref else {}
            row |= {"nodeName": address.node_name} if address.node_name else {}
            row |= {"hostname": address.hostname} if address.hostname else {}
            yield family_of(address.ip), row


def _port(told: Object) -> Object:
    """With what slices say, and Endpoints leave out."""
    return {"name": "", "protocol": "TCP", **told}
